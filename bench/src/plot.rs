//! The plot of placement quality as SVG: how full OSDs are, and what changes move. No library: two axes and a few shapes.

use std::fmt::Write as _;

/// Shares of the mean, ascending: one curve over all OSDs.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
}

/// Ratios by name: a group of bars.
pub(crate) struct Bars {
    pub(crate) name: String,
    pub(crate) values: Vec<(&'static str, f64)>,
}

/// Pixels of each of the two panels, without its labels.
const PANEL_WIDTH: f64 = 360.0;
const PANEL_HEIGHT: f64 = 260.0;
/// Where the panels begin.
const LEFT: [f64; 2] = [60.0, 510.0];
const TOP: f64 = 50.0;
/// The largest value that the axes show.
const SHARE_MAX: f64 = 1.5;
const RATIO_MAX: f64 = 2.5;

const COLOURS: [&str; 3] = ["#1b6ca8", "#d9822b", "#3a7d44"];

/// A text that is being drawn on.
struct Canvas {
    svg: String,
}

impl Canvas {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.svg, "{element}").expect("a string takes everything");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.add(format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#));
    }

    /// The frame of a panel with a grid line at every step.
    fn panel(&mut self, left: f64, title: &str, most: f64, step: f64) {
        self.text(left + PANEL_WIDTH / 2.0, TOP - 20.0, "middle", title);
        let mut at = 0.0;
        while at <= most + step / 2.0 {
            let y = height_of(at, most);
            let colour = if (at - 1.0).abs() < step / 2.0 { "#444" } else { "#ddd" };
            let right = left + PANEL_WIDTH;
            self.add(format_args!(r#"<line x1="{left}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="{colour}"/>"#));
            self.text(left - 8.0, y + 4.0, "end", &format!("{at:.2}"));
            at += step;
        }
    }
}

fn height_of(value: f64, most: f64) -> f64 {
    TOP + PANEL_HEIGHT * (1.0 - value.min(most) / most)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand OSDs and a few bars")]
fn as_number(count: usize) -> f64 {
    count as f64
}

/// The whole plot.
pub(crate) fn draw(curves: &[Curve], bars: &[Bars]) -> String {
    let mut canvas = Canvas { svg: String::new() };
    canvas.add(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 400" font-family="sans-serif" font-size="12">"#
    ));
    canvas.add(format_args!(r#"<rect width="900" height="400" fill="white"/>"#));
    canvas.panel(LEFT[0], "copies on an OSD, as a share of the mean; OSDs from emptiest to fullest", SHARE_MAX, 0.25);
    for (number, curve) in curves.iter().enumerate() {
        let last = as_number(curve.values.len().saturating_sub(1)).max(1.0);
        let points: Vec<String> = curve
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let x = LEFT[0] + PANEL_WIDTH * as_number(index) / last;
                format!("{x:.1},{:.1}", height_of(*value, SHARE_MAX))
            })
            .collect();
        let colour = COLOURS[number % COLOURS.len()];
        let points = points.join(" ");
        canvas.add(format_args!(r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>"#));
        let x = LEFT[0] + 10.0 + 110.0 * as_number(number);
        legend(&mut canvas, x, colour, &curve.name);
    }
    canvas.panel(LEFT[1], "copies moved, as a multiple of the least possible", RATIO_MAX, 0.25);
    let group_width = PANEL_WIDTH / as_number(bars.len()).max(1.0);
    for (number, group) in bars.iter().enumerate() {
        let begin = LEFT[1] + group_width * as_number(number) + 12.0;
        let width = (group_width - 24.0) / as_number(group.values.len()).max(1.0);
        for (index, (name, value)) in group.values.iter().enumerate() {
            let (x, y) = (begin + width * as_number(index), height_of(*value, RATIO_MAX));
            let (height, colour) = (TOP + PANEL_HEIGHT - y, COLOURS[index % COLOURS.len()]);
            let bar = width - 4.0;
            canvas.add(format_args!(
                r#"<rect x="{x:.1}" y="{y:.1}" width="{bar:.1}" height="{height:.1}" fill="{colour}"/>"#
            ));
            canvas.text(x + bar / 2.0, y - 4.0, "middle", &format!("{value:.2}"));
            if number == 0 {
                legend(&mut canvas, LEFT[1] + 10.0 + 110.0 * as_number(index), colour, name);
            }
        }
        canvas.text(begin + group_width / 2.0 - 12.0, TOP + PANEL_HEIGHT + 18.0, "middle", &group.name);
    }
    canvas.add(format_args!("</svg>"));
    canvas.svg
}

fn legend(canvas: &mut Canvas, x: f64, colour: &str, name: &str) {
    let y = TOP + PANEL_HEIGHT + 40.0;
    canvas.add(format_args!(r#"<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>"#));
    canvas.text(x + 18.0, y + 11.0, "start", name);
}
