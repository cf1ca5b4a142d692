//! How an event becomes a line: as text for humans or as a JSON object.
//!
//! ```text
//! 2026-11-23T15:44:06.123456Z  INFO osd.3 osd::shard: pg{id=1.2f}: peering took long seconds=3
//! ```

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::LineKind;

/// Writes one line per event, whatever line ends its fields hold.
pub(super) struct LineFormat {
    entity: String,
    kind: LineKind,
}

impl LineFormat {
    pub(super) fn new(entity: String, kind: LineKind) -> Self {
        Self { entity, kind }
    }
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut spans = Vec::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.fields.as_str());
            spans.push(if fields.is_empty() { span.name().to_owned() } else { format!("{}{{{fields}}}", span.name()) });
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = match self.kind {
            LineKind::Text => {
                let mut line = format!("{time} {:>5} {} {}: ", metadata.level(), self.entity, metadata.target());
                for span in &spans {
                    write!(line, "{span}: ")?;
                }
                line += &fields.message;
                for (name, value) in &fields.others {
                    match value {
                        Value::String(text) if text.contains(' ') || text.is_empty() => {
                            write!(line, " {name}={value}")?
                        }
                        Value::String(text) => write!(line, " {name}={text}")?,
                        number => write!(line, " {name}={number}")?,
                    }
                }
                line.replace('\r', "\\r").replace('\n', "\\n")
            }
            LineKind::Json => {
                let mut object = Map::new();
                object.insert("time".to_owned(), time.into());
                object.insert("level".to_owned(), metadata.level().as_str().into());
                object.insert("entity".to_owned(), self.entity.as_str().into());
                object.insert("target".to_owned(), metadata.target().into());
                object.insert("message".to_owned(), fields.message.into());
                object.insert("fields".to_owned(), Value::Object(fields.others));
                object.insert("spans".to_owned(), spans.into());
                Value::Object(object).to_string()
            }
        };
        writeln!(writer, "{line}")
    }
}

/// An event's message and its other fields, in the order of their names.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.put(field, value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(kind: LineKind, speak: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let format = LineFormat::new("mon.a".to_owned(), kind);
        let layer = fmt::layer().event_format(format).with_ansi(false).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), speak);
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    fn speak() {
        let span = tracing::info_span!("pg", id = "1.2f");
        let _inside = span.enter();
        tracing::warn!(seconds = 3, reason = "two words\nand a line", done = false, "took {}", "long");
    }

    #[test]
    fn text_names_level_speaker_place_span_and_fields() {
        let text = lines_of(LineKind::Text, speak);
        let rest = text.split_once(' ').unwrap().1;
        assert_eq!(
            rest,
            " WARN mon.a telemetry::logging::format::tests: pg{id=\"1.2f\"}: took long done=false reason=\"two words\\nand a line\" seconds=3\n"
        );
    }

    #[test]
    fn json_is_one_object_per_line() {
        let text = lines_of(LineKind::Json, speak);
        assert_eq!(text.lines().count(), 1);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["entity"], "mon.a");
        assert_eq!(object["level"], "WARN");
        assert_eq!(object["message"], "took long");
        assert_eq!(object["fields"]["seconds"], 3);
        assert_eq!(object["spans"][0], "pg{id=\"1.2f\"}");
    }
}
