//! Lines where both axes are logarithmic, as SVG that can be read on a light and on a dark page.

use std::fmt::Write;

use crate::growth::{Series, Unit};
use crate::report::{show, thousands};

/// Of one picture, and of the whole, which has one for each series.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const COLUMNS: usize = 2;
/// Where the axes are in a picture.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 330.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 175.0;

/// Grey stands out from white and from black, and so do these.
const STYLE: &str = "text{font:11px sans-serif;fill:#808080}.title{font-weight:bold}.axis{stroke:#808080;fill:none}\
    .linear{stroke:#808080;stroke-dasharray:4 4;fill:none}.line{stroke:#3b82f6;stroke-width:2;fill:none}\
    .point{fill:#3b82f6}";

/// The lowest and the highest value on an axis.
type Range = (f64, f64);

pub fn svg(all: &[Series]) -> String {
    let rows = all.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\">\n<style>{STYLE}</style>\n"
    );
    for (at, series) in all.iter().enumerate() {
        let (x, y) = (WIDTH * (at % COLUMNS) as f64, HEIGHT * (at / COLUMNS) as f64);
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        picture(&mut out, series);
        out += "</g>\n";
    }
    out + "</svg>\n"
}

/// One series, and beside it a line of linear growth from its first point.
fn picture(out: &mut String, series: &Series) {
    let (Some((first, begins)), Some((last, _))) = (series.points.first(), series.points.last()) else {
        return;
    };
    let linear = begins * last / first;
    let values = || series.points.iter().map(|point| point.1).chain([linear]);
    let x_range = (*first, *last);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
    let y_range = around(low, high, series.unit);
    let place = |x: f64, y: f64| (across(x, x_range, LEFT, RIGHT), across(y, y_range, BOTTOM, TOP));

    let _ = writeln!(out, "<text class=\"title\" x=\"10\" y=\"18\">{}</text>", series.name);
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>");
    for value in [y_range.0, y_range.1] {
        let (_, y) = place(*first, value);
        let (x, text) = (LEFT - 8.0, show(value, series.unit));
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", y + 3.0);
    }
    let mut line = Vec::new();
    for (count, value) in &series.points {
        let (x, y) = place(*count, *value);
        line.push(format!("{x:.1},{y:.1}"));
        let _ = writeln!(out, "<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        let (count, below) = (thousands(*count as usize), BOTTOM + 18.0);
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{below}\" text-anchor=\"middle\">{count}</text>");
    }
    let _ = writeln!(out, "<polyline class=\"line\" points=\"{}\"/>", line.join(" "));
    let ((x1, y1), (x2, y2)) = (place(*first, *begins), place(*last, linear));
    let _ = writeln!(out, "<path class=\"linear\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
    let (middle, below) = ((LEFT + RIGHT) / 2.0, BOTTOM + 34.0);
    let under = format!("{}; slope {:.2}, dashed is linear", series.of, series.slope());
    let _ = writeln!(out, "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{under}</text>");
}

/// Where a value lies between two ends.
fn across(value: f64, (low, high): Range, begin: f64, end: f64) -> f64 {
    let share = (value / low).ln() / (high / low).ln().max(f64::MIN_POSITIVE);
    begin + share * (end - begin)
}

/// The round values below and above: powers of ten, or of sixteen where a thousand is 1,024.
fn around(low: f64, high: f64, unit: Unit) -> Range {
    let base: f64 = match unit {
        Unit::Bytes => 16.0,
        Unit::Seconds => 10.0,
    };
    (base.powf(low.log(base).floor()), base.powf(high.log(base).ceil()))
}
