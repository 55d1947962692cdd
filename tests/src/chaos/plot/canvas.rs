//! The few shapes of SVG that the plot is made of.

use std::fmt::Write as _;

/// Whatever has it, and reads well in small sizes.
const FONTS: &str = "'Inter','Segoe UI','Helvetica Neue','DejaVu Sans',Arial,sans-serif";
/// The mean width of a letter, in the height of its font.
const LETTER: f64 = 0.56;

/// A picture that is being drawn.
pub(super) struct Canvas {
    width: f64,
    shapes: String,
}

/// A part of it, over so many seconds.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) span: f64,
}

impl Panel {
    /// Where a second is.
    pub(super) fn x(&self, second: f64) -> f64 {
        self.left + self.width * (second / self.span).min(1.0)
    }

    /// Where a share of the height is.
    pub(super) fn y(&self, share: f64) -> f64 {
        self.top + self.height * (1.0 - share)
    }
}

/// Which part of a text is at its place.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    size: f64,
    colour: &'static str,
    is_bold: bool,
    anchor: Anchor,
}

impl Style {
    pub(super) fn of(size: f64, colour: &'static str) -> Self {
        Self { size, colour, is_bold: false, anchor: Anchor::Start }
    }

    pub(super) fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// About how wide a text is.
pub(super) fn width(text: &str, size: f64) -> f64 {
    f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX)) * size * LETTER
}

impl Canvas {
    pub(super) fn new(width: f64) -> Self {
        Self { width, shapes: String::new() }
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), text: &str, style: &Style) {
        let weight = if style.is_bold { " font-weight=\"600\"" } else { "" };
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (size, colour) = (style.size, style.colour);
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.put(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{colour}"{weight}{anchor}>{text}</text>"#
        ));
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        let points = joined(points);
        self.put(format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>"#
        ));
    }

    pub(super) fn area(&mut self, points: &[(f64, f64)], colour: &str) {
        let points = joined(points);
        self.put(format_args!(r#"<polygon points="{points}" fill="{colour}"/>"#));
    }

    /// A light bar with a full beginning, that a text can stand on.
    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        self.put(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}" fill-opacity="0.18"/>"#
        ));
        self.put(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="2.5" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    pub(super) fn swatch(&mut self, (x, y): (f64, f64), size: f64, colour: &str) {
        self.put(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{size}" height="{size}" rx="2" fill="{colour}"/>"#
        ));
    }

    /// A stem from its foot to its head.
    pub(super) fn mark(&mut self, (x, foot): (f64, f64), head: f64, colour: &str) {
        self.put(format_args!(
            r#"<line x1="{x:.1}" y1="{foot:.1}" x2="{x:.1}" y2="{head:.1}" stroke="{colour}" stroke-opacity="0.3"/>"#
        ));
        self.put(format_args!(
            r#"<circle cx="{x:.1}" cy="{head:.1}" r="3.2" fill="{colour}" fill-opacity="0.85"/>"#
        ));
    }

    /// The whole picture.
    pub(super) fn finish(self, height: f64) -> String {
        let Self { width, shapes } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"{FONTS}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{shapes}</svg>\n"
        )
    }

    fn put(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.shapes, "{shape}");
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    let mut joined = String::new();
    for (x, y) in points {
        let _ = write!(joined, "{x:.1},{y:.1} ");
    }
    joined.truncate(joined.trim_end().len());
    joined
}
