//! A chart as SVG: lines over logarithmic axes, for figures that span orders of magnitude.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 56.0;
/// Told apart by people who see colours differently, on white and on black.
const COLORS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c6d00", "#56b4e9"];

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// Points of one kind, in the order of their x. Both coordinates are above zero.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// One axis: from a power of ten to a power of ten, onto pixels.
struct Axis {
    from: i32,
    to: i32,
    start: f64,
    length: f64,
}

impl Plot {
    /// The chart; readable on white and on black.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::over(points().map(|point| point.0), LEFT, WIDTH - LEFT - RIGHT);
        let y = Axis::over(points().map(|point| point.1), HEIGHT - BOTTOM, TOP + BOTTOM - HEIGHT);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"13\" fill=\"#777\">\n<title>{}</title>\n",
            escaped(self.title)
        );
        let mut text = |x: f64, y: f64, more: &str, text: &str| {
            let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"{y:.0}\"{more}>{}</text>", escaped(text));
        };
        let (middle, bottom) = (LEFT + x.length / 2.0, HEIGHT - BOTTOM);
        text(LEFT, 24.0, " font-size=\"16\"", self.title);
        text(middle, HEIGHT - 14.0, " text-anchor=\"middle\"", self.x);
        text(12.0, TOP - 10.0, "", self.y);
        for power in x.from..=x.to {
            text(x.at(power), bottom + 20.0, " text-anchor=\"middle\"", &power_of_ten(power));
        }
        for power in y.from..=y.to {
            text(LEFT - 8.0, y.at(power) + 4.0, " text-anchor=\"end\"", &power_of_ten(power));
        }
        let mut grid = |x1: f64, y1: f64, x2: f64, y2: f64| {
            let _ = writeln!(
                svg,
                "<line x1=\"{x1:.0}\" y1=\"{y1:.0}\" x2=\"{x2:.0}\" y2=\"{y2:.0}\" stroke=\"#777\" opacity=\"0.35\"/>"
            );
        };
        (x.from..=x.to).for_each(|power| grid(x.at(power), TOP, x.at(power), bottom));
        (y.from..=y.to).for_each(|power| grid(LEFT, y.at(power), WIDTH - RIGHT, y.at(power)));
        for (number, line) in self.lines.iter().enumerate() {
            let color = COLORS[number % COLORS.len()];
            let places: Vec<(f64, f64)> =
                line.points.iter().map(|(across, up)| (x.of(*across), y.of(*up))).collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
                path.join(" ")
            );
            for (x, y) in &places {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
            }
            let legend = TOP + 14.0 + 20.0 * number as f64;
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{legend:.0}\" fill=\"{color}\">{}</text>",
                WIDTH - RIGHT + 12.0,
                escaped(&line.name)
            );
        }
        svg + "</svg>\n"
    }
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, start: f64, length: f64) -> Axis {
        let smallest = values.clone().fold(f64::INFINITY, f64::min);
        let largest = values.fold(0.0, f64::max);
        if !smallest.is_finite() || smallest <= 0.0 {
            return Axis { from: 0, to: 1, start, length };
        }
        let (from, to) = (smallest.log10().floor() as i32, largest.log10().ceil() as i32);
        Axis { from, to: to.max(from + 1), start, length }
    }

    fn of(&self, value: f64) -> f64 {
        self.start + self.length * (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from)
    }

    fn at(&self, power: i32) -> f64 {
        self.of(10_f64.powi(power))
    }
}

fn power_of_ten(power: i32) -> String {
    10_f64.powi(power).to_string()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_logarithm_does() {
        let axis = Axis::over([2.0, 900.0].into_iter(), 100.0, 300.0);
        assert_eq!((axis.from, axis.to), (0, 3));
        assert_eq!([1.0, 10.0, 1000.0].map(|value| axis.of(value)), [100.0, 200.0, 400.0]);
    }

    #[test]
    fn a_chart_is_xml_and_has_all_of_its_points() {
        let points = vec![(1.0, 0.5), (10.0, 7.0), (100.0, 42.0)];
        let lines = vec![Line { name: "p50 & more".to_owned(), points }];
        let svg = Plot { title: "a < b", x: "at once", y: "ms", lines }.svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("a &lt; b") && svg.contains("p50 &amp; more"), "{svg}");
        assert!(svg.contains(">0.1<") && svg.contains(">100<"), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
