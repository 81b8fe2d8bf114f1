//! A chart as a picture: SVG with names and units on its axes, in colours that the page around it decides.
//!
//! Each colour drawn here names a variable of the page's style, which takes its place at the end, so that one picture
//! is readable on light and on dark ground. Nothing here knows what the numbers mean.

use std::io;

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{Chart, Kind, Line};
use super::table::short;

/// The picture. Its text is part of it, so that it can be found and read aloud.
pub fn svg(chart: &Chart) -> Drawn<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height(chart))).into_drawing_area();
        match chart.kind {
            Kind::Lines => lines(chart, &area)?,
            Kind::Percentiles => percentiles(chart, &area)?,
            Kind::Bars => bars(chart, &area)?,
            Kind::Dots => dots(chart, &area)?,
        }
        area.present()?;
    }
    Ok(with_variables(text))
}

/// What drawing returns. On a string it can only fail when this file is wrong.
pub type Drawn<T> = Result<T, DrawingAreaErrorKind<io::Error>>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Points joined by lines, from nought on both axes.
fn lines(chart: &Chart, area: &Area<'_>) -> Drawn<()> {
    let most = |axis: usize| largest(chart, axis) * 1.08;
    let mut plot = builder(area, NUMBERS_WIDTH).build_cartesian_2d(0.0..most(0), 0.0..most(1))?;
    styled_mesh(&mut plot, chart, &|x| short(*x), &|y| short(*y))?;
    for (line, at) in chart.lines.iter().zip(chart.colours()) {
        let points = line.points.iter().map(|[x, y]| (*x, *y));
        plot.draw_series(LineSeries::new(points.clone(), colour(at).stroke_width(2)))?;
        plot.draw_series(points.map(|point| Circle::new(point, 4, colour(at).filled())))?;
    }
    Ok(())
}

/// Latency by how rare it is: at 10 on the x axis one of ten samples took longer, at 100 one of a hundred.
fn percentiles(chart: &Chart, area: &Area<'_>) -> Drawn<()> {
    let rarest = chart.lines.iter().map(rarest_of).fold(10.0, f64::max);
    let (fastest, slowest) = (smallest(chart).max(FASTEST_MS), largest(chart, 1).max(10.0 * FASTEST_MS));
    let y = (below(fastest)..above(slowest)).log_scale();
    let mut plot = builder(area, NUMBERS_WIDTH).build_cartesian_2d((1.0..rarest).log_scale(), y)?;
    styled_mesh(&mut plot, chart, &|x| share(*x), &|y| short(*y))?;
    for (line, at) in chart.lines.iter().zip(chart.colours()) {
        let last = rarest_of(line);
        let point = |[share, ms]: &[f64; 2]| ((1.0 / (1.0 - share)).min(last), ms.max(FASTEST_MS));
        plot.draw_series(LineSeries::new(line.points.iter().map(point), colour(at).stroke_width(2)))?;
    }
    Ok(())
}

/// Bars from nought, one below the other, with a mark at 1.
fn bars(chart: &Chart, area: &Area<'_>) -> Drawn<()> {
    let most = largest(chart, 1).max(1.0) * 1.12;
    let mut plot = builder(area, 0).build_cartesian_2d(0.0..most, places(chart))?;
    numbers_only(&mut plot, chart, &|x| short(*x))?;
    label_places(&mut plot, chart, 0.0, chart.lines.len())?;
    let (label, depth) = parts(chart.lines.len());
    for (slot, (line, at)) in chart.lines.iter().zip(chart.colours()).enumerate() {
        for [place, number] in &line.points {
            let top = place + label + slot as f64 * depth;
            let bar = [(0.0, top), (*number, top + depth * 0.85)];
            plot.draw_series([Rectangle::new(bar, colour(at).filled())])?;
            let beside = (*number + most * 0.006, top + depth * 0.42);
            plot.draw_series([Text::new(format!("{number:.2}"), beside, ink_text(SMALL, VPos::Center))])?;
        }
    }
    // Beside the bars only: across the names it would be hard to read.
    let equal = |place: usize| [(1.0, place as f64 + label), (1.0, place as f64 + 1.0)];
    let marks = (0..chart.categories.len()).map(|place| PathElement::new(equal(place), INK.stroke_width(1)));
    plot.draw_series(marks)?;
    Ok(())
}

/// A dot for each number, on an axis that grows by factors.
fn dots(chart: &Chart, area: &Area<'_>) -> Drawn<()> {
    let (least, most) = (below(smallest(chart)), above(largest(chart, 1)));
    let mut plot = builder(area, HALF_A_NUMBER).build_cartesian_2d((least..most).log_scale(), places(chart))?;
    numbers_only(&mut plot, chart, &|x| short(*x))?;
    label_places(&mut plot, chart, least, 1)?;
    let (label, depth) = parts(1);
    for place in 0..chart.categories.len() {
        let middle = place as f64 + label + depth / 2.0;
        plot.draw_series([PathElement::new([(least, middle), (most, middle)], FAINT.stroke_width(1))])?;
    }
    for (line, at) in chart.lines.iter().zip(chart.colours()) {
        // Nought has no place on this axis.
        let middle = |[place, number]: &[f64; 2]| (number.max(least), place + label + depth / 2.0);
        plot.draw_series(line.points.iter().map(|point| Circle::new(middle(point), 6, colour(at).filled())))?;
    }
    Ok(())
}

fn builder<'a, 'b>(area: &'a Area<'b>, left: u32) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.margin(8).margin_right(40).x_label_area_size(48).y_label_area_size(left);
    builder
}

/// The grid, and names and numbers on both axes.
fn styled_mesh<X, Y>(
    plot: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    chart: &Chart,
    x_text: &dyn Fn(&f64) -> String,
    y_text: &dyn Fn(&f64) -> String,
) -> Drawn<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = plot.configure_mesh();
    mesh.x_labels(8).y_labels(8).x_label_formatter(x_text).y_label_formatter(y_text);
    mesh.bold_line_style(FAINT).light_line_style(TRANSPARENT).axis_style(INK);
    mesh.label_style(("sans-serif", SMALL).with_color(INK)).axis_desc_style(("sans-serif", MEDIUM).with_color(INK));
    mesh.x_desc(&chart.x).y_desc(&chart.y).draw()
}

/// The same without an axis on the left, where the works are.
fn numbers_only<X>(
    plot: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, RangedCoordf64>>,
    chart: &Chart,
    x_text: &dyn Fn(&f64) -> String,
) -> Drawn<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = plot.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().y_labels(0).x_labels(8).x_label_formatter(x_text);
    mesh.bold_line_style(FAINT).light_line_style(TRANSPARENT).axis_style(INK);
    mesh.label_style(("sans-serif", SMALL).with_color(INK)).axis_desc_style(("sans-serif", MEDIUM).with_color(INK));
    mesh.x_desc(&chart.y).draw()
}

/// The name of each place, above what stands in it.
fn label_places<X>(
    plot: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, RangedCoordf64>>,
    chart: &Chart,
    left: f64,
    bars: usize,
) -> Drawn<()>
where
    X: Ranged<ValueType = f64>,
{
    let (part, _) = parts(bars);
    let labels = chart.categories.iter().enumerate();
    let label = |(at, name): (usize, &String)| {
        Text::new(name.clone(), (left, at as f64 + part * 0.9), ink_text(MEDIUM, VPos::Bottom))
    };
    plot.draw_series(labels.map(label))?;
    Ok(())
}

fn ink_text(size: i32, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", size)
        .with_color(INK)
        .with_anchor::<RGBColor>(Pos::new(HPos::Left, vertical))
        .into_text_style(&(0, 0))
}

/// A place for each category, the first on top.
fn places(chart: &Chart) -> std::ops::Range<f64> {
    chart.categories.len() as f64..0.0
}

/// Which part of a place its name takes, and which part each of so many bars.
fn parts(bars: usize) -> (f64, f64) {
    let whole = f64::from(LABEL_HEIGHT + BAR_HEIGHT * bars as u32);
    (f64::from(LABEL_HEIGHT) / whole, f64::from(BAR_HEIGHT) / whole)
}

fn height(chart: &Chart) -> u32 {
    let bars = BAR_HEIGHT * chart.lines.len() as u32;
    match chart.kind {
        Kind::Lines | Kind::Percentiles => 420,
        Kind::Bars => 64 + chart.categories.len() as u32 * (LABEL_HEIGHT + bars),
        Kind::Dots => 64 + chart.categories.len() as u32 * (LABEL_HEIGHT + BAR_HEIGHT),
    }
}

fn largest(chart: &Chart, axis: usize) -> f64 {
    numbers(chart, axis).fold(f64::MIN_POSITIVE, f64::max)
}

/// The smallest number above nought, which has no place on an axis that grows by factors.
fn smallest(chart: &Chart) -> f64 {
    let least = numbers(chart, 1).filter(|number| *number > 0.0).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 1.0 }
}

fn numbers(chart: &Chart, axis: usize) -> impl Iterator<Item = f64> {
    chart.lines.iter().flat_map(move |line| line.points.iter().map(move |point| point[axis]))
}

/// One of so many samples is the rarest that a line shows before its last.
fn rarest_of(line: &Line) -> f64 {
    let below_one = line.points.iter().map(|point| point[0]).filter(|share| *share < 1.0).fold(0.5, f64::max);
    2.0 / (1.0 - below_one)
}

/// The power of ten at or below a number, and the one above.
fn below(number: f64) -> f64 {
    10f64.powf(number.log10().floor())
}

fn above(number: f64) -> f64 {
    10f64.powf((number * 1.01).log10().ceil())
}

/// `1,000` as `99.9 %`.
fn share(one_of: f64) -> String {
    let percent = format!("{:.4}", 100.0 - 100.0 / one_of.max(1.0));
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// Every colour as the variable that it names, and the size left to the page.
fn with_variables(mut svg: String) -> String {
    let sized = format!("width=\"{WIDTH}\" ");
    svg = svg.replacen(&sized, "", 1);
    if let Some((from, to)) = svg.find("height=\"").and_then(|from| Some((from, from + svg[from..].find(" viewBox")?)))
    {
        svg.replace_range(from..=to, "");
    }
    for at in 0..=COLOURS {
        svg = svg.replace(&format!("\"#0100{at:02X}\""), &format!("\"var(--c{at})\""));
    }
    svg.replace("\"#020000\"", "\"var(--ink)\"").replace("\"#020001\"", "\"var(--faint)\"")
}

/// What names the colour of a line; those beyond the last share it.
fn colour(at: usize) -> RGBColor {
    RGBColor(1, 0, at.min(COLOURS) as u8)
}

/// How many colours the page's style has, but one: more can't be told apart.
pub const COLOURS: usize = 7;

/// What names the colour of text and axes, and that of the grid.
const INK: RGBColor = RGBColor(2, 0, 0);
const FAINT: RGBColor = RGBColor(2, 0, 1);

const WIDTH: u32 = 900;

/// Room for the numbers of the y axis and its name.
const NUMBERS_WIDTH: u32 = 78;

/// Room for the half of the first number on the x axis that reaches beyond it.
const HALF_A_NUMBER: u32 = 32;

/// The heights of a place's name and of one bar.
const LABEL_HEIGHT: u32 = 26;
const BAR_HEIGHT: u32 = 20;

/// Sizes of text.
const SMALL: i32 = 16;
const MEDIUM: i32 = 18;

/// The clock's own resolution: less can't be told from nothing.
const FASTEST_MS: f64 = 0.001;

#[cfg(test)]
mod tests {
    use super::super::tests::eventful;
    use super::*;

    /// Shows that each kind of chart is drawn with its names, in the page's colours and in none of its own.
    #[test]
    fn every_kind_is_drawn() {
        for chart in eventful().all_charts() {
            let picture = svg(&chart).unwrap();
            assert!(picture.starts_with("<svg viewBox=\"0 0 900 "), "{picture}");
            assert!(picture.contains(&chart.y) && picture.contains("var(--c"), "{picture}");
            assert!(!picture.contains("\"#0"), "{picture}");
        }
    }

    /// Shows that a chart of nothing but noughts, or of a single sample, is drawn as well.
    #[test]
    fn degenerate_numbers_are_drawn() {
        for points in [vec![[0.0, 0.0]], vec![[1.0, 0.0]], vec![[0.5, 0.0], [1.0, 0.0]]] {
            for kind in [Kind::Lines, Kind::Percentiles] {
                let mut chart = Chart { kind, ..Chart::latency("t", "a") };
                chart.add("x", points.clone());
                svg(&chart).unwrap();
            }
        }
    }

    /// Shows how shares are written.
    #[test]
    fn shares() {
        assert_eq!([share(1.0), share(2.0), share(10.0), share(1000.0)], ["0 %", "50 %", "90 %", "99.9 %"]);
    }
}
