//! What was measured, as a page of Markdown and a picture.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::growth::{Series, Unit};
use crate::plot;

/// Growth beyond this is worse than linear; what is over 1 is noise.
const STEEPEST: f64 = 1.15;

#[derive(Default)]
pub struct Report {
    facts: Vec<[String; 3]>,
    pub series: Vec<Series>,
}

impl Report {
    /// A time, in seconds.
    pub fn fact(&mut self, what: &str, when: &str, seconds: f64) {
        self.facts.push([what.into(), when.into(), show(seconds, Unit::Seconds)]);
    }

    pub fn count(&mut self, what: &str, when: &str, count: usize) {
        self.facts.push([what.into(), when.into(), thousands(count)]);
    }

    pub fn markdown(&self) -> String {
        let mut page = String::from(
            "# A gateway with thousands of devices\n\n\
             Written by `cargo bench --features tokio --bench scale -- --write`: one run, on two cores, one of them the\n\
             gateway's, the other one that of all devices. Times are those of a machine that has other work to do.\n\n\
             | | where | |\n|---|---|---|\n",
        );
        for [what, when, value] in &self.facts {
            let _ = writeln!(page, "| {what} | {when} | {value} |");
        }
        page += "\n## Growth\n\n\
                 The slope is that of the line through the points where both axes are logarithmic: 1 is linear growth, 0 none.\n\n\
                 ![what grows how](growth.svg)\n\n\
                 | | with | at each | slope |\n|---|---|---|---|\n";
        for series in &self.series {
            let points = series.points.iter();
            let points: Vec<String> = points
                .map(|(x, y)| format!("{}: {}", thousands(*x as usize), show(*y, series.unit)))
                .collect();
            let slope = series.slope();
            let verdict = if slope > STEEPEST { ", **worse than linear**" } else { "" };
            let _ = writeln!(
                page,
                "| {} | {} | {} | {slope:.2}{verdict} |",
                series.name,
                series.of,
                points.join("; ")
            );
        }
        if let Some(memory) = self.series.first()
            && let Some((count, bytes)) = memory.points.last()
        {
            let each = show(bytes / count, Unit::Bytes);
            let _ = writeln!(
                page,
                "\nOf the memory each connection takes {each}, its tasks and its subscription included."
            );
        }
        page
    }

    pub fn write(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scale/results");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("README.md"), self.markdown()).expect("a file");
        fs::write(folder.join("growth.svg"), plot::svg(&self.series)).expect("a file");
    }
}

/// With three digits, and the unit that fits.
pub fn show(value: f64, unit: Unit) -> String {
    let units: &[(f64, &str)] = match unit {
        Unit::Bytes => &[(1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "B")],
        Unit::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
    };
    let (size, name) =
        units.iter().find(|(size, _)| value * (1.0 + 1e-9) >= *size).unwrap_or(&units[units.len() - 1]);
    // What lies just below a round number is one that rounding has missed.
    let value = value / size * (1.0 + 1e-9);
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {name}")
}

pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}
