//! Which classes there are, and the running of their methods.

use std::{collections::BTreeMap, sync::LazyLock};

use types::{Error, Result, limits};

use crate::{Access, Call, Circumstances, Method, ObjectClass, ObjectView, Outcome, class::unknown_method, classes};

/// Classes by name.
#[derive(Debug, Default)]
pub struct Registry {
    classes: BTreeMap<&'static str, Box<dyn ObjectClass>>,
}

static BUILT_IN: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    for class in classes::all() {
        registry.add(class);
    }
    registry
});

impl Registry {
    /// The classes that every OSD has.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Adds a class. Two classes of one name, or a name beyond its bound, are a mistake of whoever builds the OSD.
    pub fn add(&mut self, class: Box<dyn ObjectClass>) {
        let name = class.name();
        let names = class.methods().iter().map(|method| method.name).chain([name]);
        assert!(names.into_iter().all(|name| (1..=limits::CLASS_NAME_BYTES_MAX).contains(&name.len())), "short names");
        let before = self.classes.insert(name, class);
        assert!(before.is_none(), "class `{name}` is added once");
    }

    /// All classes, by name.
    pub fn classes(&self) -> impl Iterator<Item = &dyn ObjectClass> {
        self.classes.values().map(AsRef::as_ref)
    }

    fn method(&self, class: &str, method: &str) -> Option<(&dyn ObjectClass, &'static Method)> {
        let class = self.classes.get(class)?.as_ref();
        Some((class, class.methods().iter().find(|known| known.name == method)?))
    }

    /// What a method may do; `None` when there is none of that name.
    pub fn access(&self, class: &str, method: &str) -> Option<Access> {
        self.method(class, method).map(|(_, method)| method.access)
    }

    /// Runs a method on the view, which shows its effects afterwards. `bytes_left` is what the methods of the same
    /// operation may still write.
    pub fn call(
        &self,
        (class, method): (&str, &str),
        view: &mut ObjectView<'_>,
        circumstances: Circumstances,
        input: &[u8],
        bytes_left: usize,
    ) -> Result<Outcome> {
        let Some((found, method)) = self.method(class, method) else {
            return Err(match self.classes.get(class) {
                Some(class) => unknown_method(class.as_ref(), method),
                None => Error::invalid(format!("there is no object class `{class}`")),
            });
        };
        let mut call = Call::new(view, circumstances, method.access, bytes_left);
        let output = found.call(method.name, &mut call, input)?;
        let effects = call.into_effects();
        // A repeat of a write is answered from memory, so what it answers must fit there.
        let (limit, whose) = match method.access {
            Access::Read => (limits::OPERATION_PAYLOAD_BYTES_MAX, "a method"),
            Access::Write => (limits::CALL_OUTPUTS_REMEMBERED_BYTES_MAX, "a method that may write"),
        };
        if output.len() > limit {
            let length = output.len();
            return Err(Error::invalid(format!("{whose} answers {length} bytes; the limit is {limit}")));
        }
        Ok(Outcome { output, effects })
    }
}
