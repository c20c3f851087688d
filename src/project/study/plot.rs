//! Plots as SVG: lines, points and intervals on linear, logarithmic or named axes.
//!
//! Constraints: the same data give the same bytes; colours follow the reader's light or dark scheme by a style sheet
//! inside the file, and series differ by mark or dash too; nothing is fetched. A crate for plots fixes its colours, so
//! this is a module of our own.

use std::fmt::Write;

const WIDTH: f64 = 910.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 116.0;
const RIGHT: f64 = 270.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 124.0;
const COLOURS: usize = 8;
/// A line of more points has no marks.
const MARKED: usize = 40;
/// Points of a scatter that are drawn; the data beside it have all.
const MOST_DOTS: usize = 3000;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1b1f24}.t{font-size:15px;font-weight:600}.k{font-size:12px}\
.b{fill:#fff}.g{stroke:#d5d9de;stroke-width:1}.a{stroke:#57606a;stroke-width:1;fill:none}\
.l{fill:none;stroke-width:2}.e{stroke-width:1.2}.d{stroke-dasharray:6 4}.o{opacity:.55}\
.s0{stroke:#0b62a8}.f0{fill:#0b62a8}.s1{stroke:#b34700}.f1{fill:#b34700}.s2{stroke:#0a7a55}.f2{fill:#0a7a55}\
.s3{stroke:#9c2f78}.f3{fill:#9c2f78}.s4{stroke:#7a5c00}.f4{fill:#7a5c00}.s5{stroke:#5a4fcf}.f5{fill:#5a4fcf}\
.s6{stroke:#b3202c}.f6{fill:#b3202c}.s7{stroke:#4d5560}.f7{fill:#4d5560}\
@media(prefers-color-scheme:dark){text{fill:#e6e9ed}.b{fill:#15181d}.g{stroke:#343a42}.a{stroke:#9aa4af}\
.s0{stroke:#6db7f2}.f0{fill:#6db7f2}.s1{stroke:#ff9f57}.f1{fill:#ff9f57}.s2{stroke:#4fd6a4}.f2{fill:#4fd6a4}\
.s3{stroke:#f09bd0}.f3{fill:#f09bd0}.s4{stroke:#e8cd5a}.f4{fill:#e8cd5a}.s5{stroke:#b3abff}.f5{fill:#b3abff}\
.s6{stroke:#ff8b90}.f6{fill:#ff8b90}.s7{stroke:#c3cad2}.f7{fill:#c3cad2}}";

/// How values lie on an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    Linear,
    /// Powers of ten; values that are not above 0 are left out.
    Log,
    /// Value k is name k.
    Names(Vec<String>),
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Line,
    Dashed,
    /// Marks with intervals, no line.
    Marks,
    /// Small dots without intervals.
    Dots,
}

/// A value and, where it has one, its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    pub x: f64,
    pub y: f64,
    pub low: f64,
    pub high: f64,
}

impl Spot {
    /// A value without an interval.
    pub fn exact(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }

    pub fn of(x: f64, spread: super::Spread) -> Self {
        Self { x, y: spread.value, low: spread.low, high: spread.high }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub shape: Shape,
    /// Number of its colour.
    pub colour: usize,
    pub spots: Vec<Spot>,
}

/// One plot and the data behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// The file's name without ending.
    pub name: String,
    pub title: String,
    /// With its unit.
    pub x_label: String,
    pub x: Scale,
    /// With its unit.
    pub y_label: String,
    pub y: Scale,
    pub series: Vec<Series>,
}

/// An axis with its range in the scale's own measure.
struct Axis<'a> {
    scale: &'a Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl<'a> Axis<'a> {
    fn new(scale: &'a Scale, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = match scale {
            Scale::Names(names) => (-0.5, names.len().max(1) as f64 - 0.5),
            _ => values
                .filter_map(|value| measure(scale, value))
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value))),
        };
        if !low.is_finite() || !high.is_finite() {
            (low, high) = (0.0, 1.0);
        }
        if !matches!(scale, Scale::Names(_)) {
            if high - low < 1e-12 {
                (low, high) = (low - 0.5, high + 0.5);
            }
            let margin = 0.04 * (high - low);
            (low, high) = (low - margin, high + margin);
        }
        Self { scale, low, high, from, to }
    }

    fn place(&self, value: f64) -> Option<f64> {
        let share = (measure(self.scale, value)? - self.low) / (self.high - self.low);
        (-0.001..=1.001).contains(&share).then_some(self.from + share * (self.to - self.from))
    }

    /// Values with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Names(names) => names.iter().enumerate().map(|(at, name)| (at as f64, name.clone())).collect(),
            Scale::Linear => {
                let raw = (self.high - self.low) / 6.0;
                let power = 10_f64.powf(raw.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].iter().map(|unit| unit * power).find(|step| *step >= raw);
                let step = step.unwrap_or(10.0 * power);
                let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step).floor() as i64;
                (first..=last)
                    .map(|k| k as f64 * step)
                    .map(|value| (value, format!("{:.digits$}", if value == 0.0 { 0.0 } else { value })))
                    .collect()
            }
            Scale::Log => {
                let units: &[f64] = if self.high - self.low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let powers = self.low.floor() as i32..=self.high.ceil() as i32;
                powers
                    .flat_map(|power| units.iter().map(move |unit| unit * 10_f64.powi(power)))
                    .filter(|value| (self.low..=self.high).contains(&value.log10()))
                    .map(|value| (value, short(value)))
                    .collect()
            }
        }
    }
}

fn measure(scale: &Scale, value: f64) -> Option<f64> {
    match scale {
        Scale::Log => (value > 0.0 && value.is_finite()).then(|| value.log10()),
        _ => value.is_finite().then_some(value),
    }
}

/// A number of few digits: 0.05, 20, 100k.
fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.0}M", value / 1e6)
    } else if value >= 1e3 {
        format!("{:.0}k", value / 1e3)
    } else {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.draw(&mut out);
        out
    }

    fn draw(&self, out: &mut String) -> std::fmt::Result {
        let spots = || self.series.iter().flat_map(|series| &series.spots);
        let x = Axis::new(&self.x, spots().map(|spot| spot.x), LEFT, WIDTH - RIGHT);
        let heights = spots().flat_map(|spot| [spot.y, spot.low, spot.high]);
        let y = Axis::new(&self.y, heights, HEIGHT - BOTTOM, TOP);
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title><style>{STYLE}</style>",
            escape(&self.title)
        )?;
        writeln!(out, "<rect class=\"b\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>")?;
        writeln!(out, "<text class=\"t\" x=\"{LEFT}\" y=\"24\">{}</text>", escape(&self.title))?;
        self.axes(out, &x, &y)?;
        let mut legend = TOP + 8.0;
        for (number, series) in self.series.iter().enumerate() {
            self.one(out, series, number, &x, &y)?;
            let (colour, left) = (series.colour % COLOURS, WIDTH - RIGHT + 18.0);
            if matches!(series.shape, Shape::Line | Shape::Dashed) {
                let dash = if series.shape == Shape::Dashed { " d" } else { "" };
                writeln!(out, "<path class=\"l s{colour}{dash}\" d=\"M{left:.1} {legend:.1}h24\"/>")?;
            }
            if series.shape != Shape::Line && series.shape != Shape::Dashed || series.spots.len() <= MARKED {
                mark(out, number, colour, left + 12.0, legend)?;
            }
            writeln!(
                out,
                "<text class=\"k\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                left + 32.0,
                legend + 4.0,
                escape(&series.name)
            )?;
            legend += 20.0;
        }
        writeln!(out, "</svg>")
    }

    fn axes(&self, out: &mut String, x: &Axis<'_>, y: &Axis<'_>) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, label) in y.ticks() {
            let Some(at) = y.place(value) else { continue };
            writeln!(out, "<path class=\"g\" d=\"M{LEFT} {at:.1}H{right}\"/>")?;
            writeln!(
                out,
                "<text class=\"k\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                escape(&label)
            )?;
        }
        let ticks = x.ticks();
        // About seven units a letter.
        let wide: usize = ticks.iter().map(|(_, label)| label.chars().count() + 2).sum();
        let is_crowded = matches!(self.x, Scale::Names(_)) && 7.0 * wide as f64 > right - LEFT;
        for (value, label) in ticks {
            let Some(at) = x.place(value) else { continue };
            writeln!(out, "<path class=\"a\" d=\"M{at:.1} {bottom}v5\"/>")?;
            let below = bottom + 18.0;
            let turned =
                if is_crowded { format!(" transform=\"rotate(-24 {at:.1} {below:.1})\"") } else { String::new() };
            let anchor = if is_crowded { "end" } else { "middle" };
            writeln!(
                out,
                "<text class=\"k\" x=\"{at:.1}\" y=\"{below:.1}\" text-anchor=\"{anchor}\"{turned}>{}</text>",
                escape(&label)
            )?;
        }
        writeln!(out, "<path class=\"a\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>")?;
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 12.0,
            escape(&self.x_label)
        )?;
        let middle = (TOP + bottom) / 2.0;
        writeln!(
            out,
            "<text x=\"18\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.1})\">{}</text>",
            escape(&self.y_label)
        )
    }

    fn one(&self, out: &mut String, series: &Series, number: usize, x: &Axis<'_>, y: &Axis<'_>) -> std::fmt::Result {
        let colour = series.colour % COLOURS;
        // Series of one name lie side by side.
        let aside = match self.x {
            Scale::Names(_) => (number as f64 - (self.series.len() as f64 - 1.0) / 2.0) * 7.0,
            _ => 0.0,
        };
        let step = series.spots.len().div_ceil(if series.shape == Shape::Dots { MOST_DOTS } else { usize::MAX }).max(1);
        let mut path = String::new();
        for spot in series.spots.iter().step_by(step) {
            let (Some(left), Some(top)) = (x.place(spot.x).map(|left| left + aside), y.place(spot.y)) else { continue };
            if series.shape == Shape::Dots {
                writeln!(out, "<circle class=\"f{colour} o\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"2.2\"/>")?;
                continue;
            }
            if let (Some(low), Some(high)) = (y.place(spot.low), y.place(spot.high))
                && spot.high > spot.low
            {
                writeln!(
                    out,
                    "<path class=\"e s{colour}\" d=\"M{left:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6M{:.1} {high:.1}h6\"/>",
                    left - 3.0,
                    left - 3.0
                )?;
            }
            write!(path, "{}{left:.1} {top:.1}", if path.is_empty() { "M" } else { "L" })?;
            if series.spots.len() <= MARKED {
                mark(out, number, colour, left, top)?;
            }
        }
        match series.shape {
            Shape::Line if !path.is_empty() => writeln!(out, "<path class=\"l s{colour}\" d=\"{path}\"/>"),
            Shape::Dashed if !path.is_empty() => writeln!(out, "<path class=\"l s{colour} d\" d=\"{path}\"/>"),
            _ => Ok(()),
        }
    }

    /// The data as CSV: series, x, y, low, high.
    pub fn csv(&self) -> String {
        let mut out = String::from("series,x,y,low,high\n");
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        for series in &self.series {
            for spot in &series.spots {
                let x = match &self.x {
                    Scale::Names(names) => names.get(spot.x as usize).map_or_else(String::new, |name| quoted(name)),
                    _ => format!("{:.6}", spot.x),
                };
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{},{x},{:.6},{:.6},{:.6}", quoted(&series.name), spot.y, spot.low, spot.high);
            }
        }
        out
    }
}

/// A mark that differs by the number of its series.
fn mark(out: &mut String, number: usize, colour: usize, x: f64, y: f64) -> std::fmt::Result {
    match number % 4 {
        0 => writeln!(out, "<circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.6\"/>"),
        1 => writeln!(
            out,
            "<rect class=\"f{colour}\" x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\"/>",
            x - 3.5,
            y - 3.5
        ),
        2 => writeln!(out, "<path class=\"f{colour}\" d=\"M{x:.1} {:.1}l4.4 7.6h-8.8z\"/>", y - 5.0),
        _ => writeln!(out, "<path class=\"f{colour}\" d=\"M{x:.1} {:.1}l5 5l-5 5l-5-5z\"/>", y - 5.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(x: Scale, xs: [f64; 3]) -> Plot {
        let spots = xs.iter().zip([0.5, 0.7, 0.9]).map(|(x, y)| Spot { x: *x, y, low: y - 0.1, high: y + 0.05 });
        Plot {
            name: "p".to_owned(),
            title: "a < b & \"c\"".to_owned(),
            x_label: "rows".to_owned(),
            x,
            y_label: "AUROC".to_owned(),
            y: Scale::Linear,
            series: vec![Series { name: "one".to_owned(), shape: Shape::Line, colour: 0, spots: spots.collect() }],
        }
    }

    /// Numbers behind `name="` in order.
    fn values(svg: &str, name: &str) -> Vec<f64> {
        svg.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
    }

    #[test]
    fn marks_lie_where_the_scale_puts_them_and_inside_the_frame() {
        let svg = plot(Scale::Log, [10.0, 100.0, 1000.0]).svg();
        // The last circle is the legend's.
        let (cx, cy) = (values(&svg, "cx"), values(&svg, "cy"));
        assert_eq!(cx.len(), 4);
        assert!((cx[1] - cx[0] - (cx[2] - cx[1])).abs() < 0.2, "equal ratios are equal steps: {cx:?}");
        assert!(cy[0] > cy[1] && cy[1] > cy[2], "up is more: {cy:?}");
        assert!(cx.iter().take(3).all(|x| (LEFT..=WIDTH - RIGHT).contains(x)));
        assert!(cy.iter().take(3).all(|y| (TOP..=HEIGHT - BOTTOM).contains(y)));
        for tick in
            [">10<", ">100<", ">1k<", "AUROC", "rows", "a &lt; b &amp; &quot;c&quot;", "prefers-color-scheme:dark"]
        {
            assert!(svg.contains(tick), "{tick} is missing");
        }
        assert!(!svg.contains("a < b"));
    }

    #[test]
    fn names_numbers_and_nothing_can_be_drawn() {
        let names = Scale::Names(["x", "y", "z"].map(str::to_owned).to_vec());
        let named = plot(names, [0.0, 1.0, 2.0]);
        assert!(named.svg().contains(">y<") && named.csv().contains("\"one\",\"y\",0.700000,0.600000,0.750000"));
        let mut odd = plot(Scale::Log, [0.0, -1.0, f64::NAN]);
        assert_eq!(values(&odd.svg(), "cx").len(), 1, "what has no logarithm is left out");
        odd.series.clear();
        assert!(odd.svg().ends_with("</svg>\n"));
        assert_eq!(plot(Scale::Linear, [1.0; 3]).svg(), plot(Scale::Linear, [1.0; 3]).svg());
        assert!(!plot(Scale::Linear, [1.0; 3]).svg().contains("NaN"));
    }
}
