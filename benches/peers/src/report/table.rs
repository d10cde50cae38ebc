//! Tables in Markdown.

use std::fs;

use super::{Results, Row};
use crate::contestants::{BASELINE, IDLE};
use crate::measure::Measure;

/// Both tables, and what they are worth.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    let (cpu, rest): (Vec<_>, Vec<_>) = Measure::ALL.into_iter().partition(|measure| measure.is_cpu());
    let memory = results.rows.iter().any(|row| row.memory.is_some());
    let rest: Vec<_> = rest.into_iter().filter(|measure| memory || *measure != Measure::Memory).collect();
    text.push_str(&preamble(results));
    table(&mut text, results, &rest);
    text.push_str("\nProcessor time, both sides together, in µs for each:\n\n");
    table(&mut text, results, &cpu);
    for row in &results.rows {
        if row.memory.is_some() && row.idle != IDLE {
            text.push_str(&format!(
                "\nMemory of `{}` with {} connections instead of {IDLE}.\n",
                row.name, row.idle
            ));
        }
        for failure in &row.failures {
            text.push_str(&format!("\n`{}` failed: {failure}\n", row.name));
        }
    }
    text
}

fn preamble(results: &Results) -> String {
    format!(
        "Medians of {} rounds, {} ms for each kind of traffic; in brackets the ratio to `{BASELINE}`, paired by round. \
         {}; others took {:.0} % of it meanwhile.\n\n",
        results.rounds,
        results.span.as_millis(),
        machine(),
        results.others * 100.0
    )
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    format!("{cores} cores ({}), Linux {kernel}", name.unwrap_or("unknown"))
}

fn table(text: &mut String, results: &Results, measures: &[Measure]) {
    let titles: Vec<_> = measures.iter().map(|measure| measure.title()).collect();
    text.push_str(&format!(
        "| | sealed | {} |\n|---|---|{}\n",
        titles.join(" | "),
        "---:|".repeat(titles.len())
    ));
    for row in &results.rows {
        let cells: Vec<_> = measures.iter().map(|measure| cell(results, row, *measure)).collect();
        let name =
            if row.name.starts_with("symbolon") { format!("**{}**", row.name) } else { row.name.to_owned() };
        text.push_str(&format!(
            "| {name} | {} | {} |\n",
            if row.sealed { "yes" } else { "no" },
            cells.join(" | ")
        ));
    }
}

fn cell(results: &Results, row: &Row, measure: Measure) -> String {
    let Some(value) = results.median(row, measure) else { return "–".to_owned() };
    let ratio = results.ratio(row, measure).map(|ratio| format!(" ({}×)", digits(ratio)));
    format!("{}{}", digits(value), ratio.unwrap_or_default())
}

/// Three digits that count.
pub fn digits(value: f64) -> String {
    match value {
        value if value >= 999_500.0 => format!("{} M", digits(value / 1e6)),
        value if value >= 9_995.0 => format!("{} k", digits(value / 1e3)),
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value if value >= 0.0995 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
