//! The ratios as a picture: a panel for each measure, a dot for each contestant, on a logarithmic axis where right is better.

use super::table::digits;
use super::{Results, Row};
use crate::measure::Measure;

const MEASURES: [(Measure, &str, &str); 6] = [
    (Measure::Connect, "connect + first echo", "µs"),
    (Measure::EchoMedian, "echo of 64 bytes, p50", "µs"),
    (Measure::Requests, "requests, 64 in flight", "/s"),
    (Measure::Large, "publications of 16 KiB", "MB/s"),
    (Measure::Small, "publications of 64 bytes", "/s"),
    (Measure::Memory, "memory per idle connection", "KiB"),
];

const MARGIN: f64 = 24.0;
/// For the names.
const NAMES: f64 = 118.0;
const PANEL: f64 = 246.0;
const BETWEEN: f64 = 22.0;
const COLUMNS: usize = 3;
const LINE: f64 = 21.0;
/// Above the panels, and in each above and below the lines.
const TITLE: f64 = 62.0;
const HEAD: f64 = 34.0;
const FOOT: f64 = 40.0;
/// What the figure beside a dot may take.
const FIGURE: f64 = 70.0;

/// Both colour schemes; the card is part of the picture, so that whatever is behind it does not matter.
const STYLE: &str = "\
text { font: 12px ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #24292f; }
.card { fill: #ffffff; stroke: #d0d7de; } .title { font-size: 16px; font-weight: 600; } .head { font-weight: 600; }
.soft { fill: #57606a; } .ours { font-weight: 600; } .grid { stroke: #d8dee4; } .one { stroke: #8c959f; }
.dot { fill: #6e7781; stroke: #6e7781; } .stem { stroke: #afb8c1; } .hollow { fill: #ffffff; }
.dot.ours { fill: #0969da; stroke: #0969da; } .stem.ours { stroke: #0969da; } text.ours { fill: #0969da; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .card { fill: #161b22; stroke: #30363d; } .soft { fill: #9198a1; }
.grid { stroke: #2b313a; } .one { stroke: #7d8590; } .dot { fill: #9198a1; stroke: #9198a1; } .stem { stroke: #57606a; }
.hollow { fill: #161b22; } .dot.ours { fill: #58a6ff; stroke: #58a6ff; } .stem.ours { stroke: #58a6ff; }
text.ours { fill: #58a6ff; }
}";

pub fn plot(results: &Results) -> String {
    let measures: Vec<_> = MEASURES
        .into_iter()
        .filter(|(measure, ..)| results.rows.iter().any(|row| results.ratio(row, *measure).is_some()))
        .collect();
    let panel = HEAD + LINE * results.rows.len() as f64 + FOOT;
    let width = 2.0 * MARGIN + NAMES + PANEL * COLUMNS as f64 + BETWEEN * (COLUMNS - 1) as f64;
    let height = TITLE + panel * measures.len().div_ceil(COLUMNS) as f64 + MARGIN / 2.0;
    let mut picture = Picture::default();
    picture.add(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\">\n\
         <title>symbolon beside its peers, relative to plain TCP</title>\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        width - 1.0,
        height - 1.0
    ));
    picture.text((MARGIN, 30.0), "start", "title", "symbolon beside its peers, relative to raw TCP");
    let note = "Farther right is better. Hollow: in plaintext. Beside each dot stands what was measured.";
    picture.text((MARGIN, 49.0), "start", "soft", note);
    for (at, measure) in measures.into_iter().enumerate() {
        let (column, line) = ((at % COLUMNS) as f64, (at / COLUMNS) as f64);
        let corner = (MARGIN + NAMES + column * (PANEL + BETWEEN), TITLE + line * panel);
        if at % COLUMNS == 0 {
            names(&mut picture, results, corner);
        }
        Axis::new(results, measure.0, corner).draw(&mut picture, results, measure);
    }
    picture.add("</svg>");
    picture.0
}

fn names(picture: &mut Picture, results: &Results, corner: (f64, f64)) {
    for (at, row) in results.rows.iter().enumerate() {
        picture.text((corner.0 - 12.0, middle(corner, at) + 4.0), "end", class(row), row.name);
    }
}

/// Where the line of this contestant is.
fn middle(corner: (f64, f64), at: usize) -> f64 {
    corner.1 + HEAD + LINE * (at as f64 + 0.5)
}

fn class(row: &Row) -> &'static str {
    if row.name.starts_with("symbolon") { "ours" } else { "" }
}

/// How many times better than the baseline: rates as they are, all else turned over.
fn gain(results: &Results, row: &Row, measure: Measure) -> Option<f64> {
    let ratio = results.ratio(row, measure)?;
    Some(if measure.is_rate() { ratio } else { 1.0 / ratio })
}

/// The axis of one panel, in decades.
struct Axis {
    corner: (f64, f64),
    least: f64,
    most: f64,
}

impl Axis {
    fn new(results: &Results, measure: Measure, corner: (f64, f64)) -> Self {
        let gains = results.rows.iter().filter_map(|row| gain(results, row, measure));
        let decades: Vec<f64> = gains.filter(|gain| *gain > 0.0).map(f64::log10).collect();
        // At least one decade, so that a small difference looks small.
        let least = decades.iter().copied().fold(-1.0, f64::min);
        let most = decades.iter().copied().fold(0.0, f64::max);
        Self { corner, least, most }
    }

    fn x(&self, gain: f64) -> f64 {
        let share = (gain.log10() - self.least) / (self.most - self.least);
        self.corner.0 + 8.0 + share * (PANEL - FIGURE - 8.0)
    }

    fn draw(&self, picture: &mut Picture, results: &Results, (measure, title, unit): (Measure, &str, &str)) {
        let (left, top) = (self.corner.0, self.corner.1 + HEAD - 4.0);
        let bottom = top + LINE * results.rows.len() as f64 + 8.0;
        picture.text((left, self.corner.1 + 18.0), "start", "head", &format!("{title}, {unit}"));
        for decade in self.least.ceil() as i32..=self.most.floor() as i32 {
            let x = self.x(10_f64.powi(decade));
            picture.line((x, top), (x, bottom), if decade == 0 { "one" } else { "grid" });
            let label = match decade {
                0 => "1×".to_owned(),
                decade if decade < 0 => format!("1/{}", 10_u64.pow(decade.unsigned_abs())),
                decade => format!("{}×", 10_u64.pow(decade.unsigned_abs())),
            };
            picture.text((x, bottom + 15.0), "middle", "soft", &label);
        }
        for (at, row) in results.rows.iter().enumerate() {
            let y = middle(self.corner, at);
            match gain(results, row, measure).zip(results.median(row, measure)) {
                Some((gain, value)) => self.dot(picture, row, (gain, y), &digits(value)),
                None => picture.text((self.x(1.0) + 10.0, y + 4.0), "start", "soft", "–"),
            }
        }
    }

    fn dot(&self, picture: &mut Picture, row: &Row, (gain, y): (f64, f64), figure: &str) {
        let (x, one, class) = (self.x(gain), self.x(1.0), class(row));
        picture.line((one, y), (x, y), &format!("stem {class}"));
        let hollow = if row.sealed { "" } else { " hollow" };
        picture.add(&format!(
            "<circle class=\"dot {class}{hollow}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" stroke-width=\"1.5\"/>"
        ));
        // Beside the stem where there is one, so that neither strikes through the other.
        picture.text((x.max(one) + 9.0, y + 4.0), "start", class, figure);
    }
}

#[derive(Default)]
struct Picture(String);

impl Picture {
    fn add(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.add(&format!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn text(&mut self, at: (f64, f64), anchor: &str, class: &str, text: &str) {
        self.add(&format!(
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>",
            at.0, at.1
        ));
    }
}
