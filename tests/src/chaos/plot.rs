//! The run as a picture: an SVG of four panels over one axis of time.

mod canvas;

use std::time::Duration;

use super::book::{Means, Trouble};
use super::report::Report;
use super::timeline::{Look, Second};
use canvas::{Anchor, Canvas, Panel, Style};

/// The picture's width, and what is left and right of the panels.
const WIDTH: f64 = 1240.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 24.0;

const INK: &str = "#1d2733";
const FAINT: &str = "#5d6b7a";
const GRID: &str = "#e4e8ed";
/// Of the edges, in their order.
const EDGES: [&str; 4] = ["#1764ab", "#c05a00", "#1d7f45", "#8a3ea8"];
/// What has to hold for revocations, in seconds, and how far their panel goes.
const REACH_LIMIT: f64 = 10.0;
const REACH_TOP: f64 = 12.0;

/// Draws it.
pub(super) fn draw(report: &Report) -> String {
    let seconds = report.seconds();
    let mut canvas = Canvas::new(WIDTH);
    let span = report.took().as_secs_f64().max(1.0);
    let mut panels = Panels { top: 98.0, span };
    heading(&mut canvas, report);
    requests(&mut canvas, &panels.next("Requests per second", 150.0), &seconds);
    latencies(&mut canvas, &panels.next("Latency", 120.0), &seconds);
    let lanes = lanes(report);
    let height = lanes.iter().map(Lane::height).sum();
    troubles(&mut canvas, &panels.next("What was done", height), &lanes);
    let last = panels
        .next("Revocations: seconds to the last accept, where the issuer was in reach", 190.0);
    revocations(&mut canvas, &last, report);
    let bottom = last.top + last.height;
    axis(&mut canvas, &last, span);
    canvas.finish(bottom + 52.0)
}

/// One panel below the other, over the same time.
struct Panels {
    top: f64,
    span: f64,
}

impl Panels {
    fn next(&mut self, title: &'static str, height: f64) -> Panel {
        let top = self.top + 30.0;
        self.top = top + height + 22.0;
        Panel { title, left: LEFT, top, width: WIDTH - LEFT - RIGHT, height, span: self.span }
    }
}

fn heading(canvas: &mut Canvas, report: &Report) {
    let storage = match report.storage().name() {
        "aws" => "DynamoDB and Secrets Manager (emulated)",
        _ => "SQLite",
    };
    let title = format!("Chaos: four edges, the issuer on {storage}");
    canvas.text((LEFT, 38.0), &title, &Style::of(21.0, INK).bold());
    let summary = report.summary();
    // In two lines: figures, and what they are of.
    let (first, second) = summary.split_once("; ").unwrap_or((&summary, ""));
    canvas.text((LEFT, 62.0), first, &Style::of(13.5, FAINT));
    canvas.text((LEFT, 81.0), second, &Style::of(13.5, FAINT));
}

fn colour(look: Look) -> &'static str {
    match look {
        Look::Allowed => "#7fb2e5",
        Look::Denied => "#c3ccd6",
        Look::Unavailable => "#f0b429",
        Look::Down => "#a78bda",
        Look::Wrong => "#d11f2f",
    }
}

fn requests(canvas: &mut Canvas, panel: &Panel, seconds: &[Second]) {
    let total = |second: &Second| second.looks.values().sum::<u32>();
    let top = f64::from(seconds.iter().map(total).max().unwrap_or_default()).max(1.0);
    let top = (top / 50.0).ceil() * 50.0;
    title(canvas, panel);
    let step = if top > 200.0 { 100.0 } else { 50.0 };
    for line in steps(step, top) {
        gridline(canvas, panel, line / top, &format!("{line:.0}"));
    }
    let mut below = vec![0.0; seconds.len()];
    for look in Look::ALL {
        let mut upper = below.clone();
        for (upper, second) in upper.iter_mut().zip(seconds) {
            *upper += f64::from(second.looks.get(&look).copied().unwrap_or_default());
        }
        let points = |heights: &[f64]| -> Vec<(f64, f64)> {
            let edges = (0_u32..).zip(heights).flat_map(|(second, height)| {
                let y = panel.y(height / top);
                [(panel.x(f64::from(second)), y), (panel.x(f64::from(second) + 1.0), y)]
            });
            edges.collect()
        };
        let (mut outline, mut back) = (points(&upper), points(&below));
        back.reverse();
        outline.append(&mut back);
        canvas.area(&outline, colour(look));
        below = upper;
    }
    let swatches = Look::ALL.map(|look| (look.name(), colour(look)));
    legend(canvas, panel, &swatches);
}

type Pick = fn(&Second) -> Duration;

/// The vertical axis goes by powers of ten, from 0.1 ms to 10 s.
fn latencies(canvas: &mut Canvas, panel: &Panel, seconds: &[Second]) {
    const DECADES: f64 = 5.0;
    title(canvas, panel);
    for (decade, label) in [
        (0.0, "0.1 ms"),
        (1.0, "1 ms"),
        (2.0, "10 ms"),
        (3.0, "0.1 s"),
        (4.0, "1 s"),
        (5.0, "10 s"),
    ] {
        gridline(canvas, panel, decade / DECADES, label);
    }
    let height = |time: Duration| {
        let tenths = time.as_secs_f64() * 10_000.0;
        (tenths.max(1.0).log10() / DECADES).min(1.0)
    };
    let lines: [(&str, &str, Pick); 2] = [
        ("p99", "#c05a00", |second| second.latencies.p99),
        ("p50", "#1764ab", |second| second.latencies.median),
    ];
    for (_, colour, pick) in lines {
        let points = (0_u32..).zip(seconds).filter(|(_, second)| !second.looks.is_empty());
        let points: Vec<(f64, f64)> = points
            .map(|(at, second)| (panel.x(f64::from(at) + 0.5), panel.y(height(pick(second)))))
            .collect();
        canvas.line(&points, colour, 1.6);
    }
    legend(canvas, panel, &lines.map(|(name, colour, _)| (name, colour)));
}

/// A row of the panel of troubles: one edge, or the issuer.
struct Lane {
    name: &'static str,
    colour: &'static str,
    bars: Vec<Bar>,
    rows: usize,
}

/// From when to when, in seconds, and in which row its name is written.
struct Bar {
    since: f64,
    until: f64,
    name: String,
    row: usize,
    is_turned: bool,
}

impl Bar {
    fn new(since: f64, until: f64, name: String) -> Self {
        Self { since, until, name, row: 0, is_turned: false }
    }
}

const ROW: f64 = 17.0;
const LABEL: f64 = 11.0;

impl Lane {
    fn new(name: &'static str, colour: &'static str, mut bars: Vec<Bar>, span: f64) -> Self {
        bars.sort_by(|one, other| one.since.total_cmp(&other.since));
        let whole = WIDTH - LEFT - RIGHT;
        let per_second = whole / span;
        let mut free: Vec<f64> = Vec::new();
        for bar in &mut bars {
            let (mut begin, label) = (bar.since * per_second, canvas::width(&bar.name, LABEL));
            let mut end = (bar.until * per_second).max(begin + label + 12.0);
            // Where there is no room on the right, the name stands on the left.
            bar.is_turned = begin + 6.0 + label > whole;
            if bar.is_turned {
                (begin, end) = (begin - label - 6.0, whole);
            }
            let row = free.iter().position(|free| *free <= begin).unwrap_or(free.len());
            match free.get_mut(row) {
                Some(free) => *free = end,
                None => free.push(end),
            }
            bar.row = row;
        }
        Self { name, colour, rows: free.len().max(1), bars }
    }

    fn height(&self) -> f64 {
        f64::from(u32::try_from(self.rows).unwrap_or(1)) * ROW + 10.0
    }
}

fn lanes(report: &Report) -> Vec<Lane> {
    let book = report.book();
    let span = report.took().as_secs_f64();
    let second = |time: Duration| report.since_start(time).as_secs_f64().min(span);
    let bar = |trouble: &Trouble| {
        Bar::new(second(trouble.since), second(trouble.end()), trouble.kind.name().to_owned())
    };
    let of = |edge: Option<usize>| book.troubles.iter().filter(move |trouble| trouble.edge == edge);
    let mut at_the_issuer: Vec<Bar> = of(None).map(bar).collect();
    for revocation in &book.revocations {
        if matches!(revocation.means, Means::Withdrawal | Means::EndOfDomain) {
            let at = second(revocation.asked);
            at_the_issuer.push(Bar::new(at, at, revocation.means.name().to_owned()));
        }
    }
    for (at, domain) in &book.rotations {
        let at = second(*at);
        at_the_issuer.push(Bar::new(at, at, format!("rotation ({domain})")));
    }
    let mut lanes = vec![Lane::new("issuer", INK, at_the_issuer, span)];
    for (number, (edge, colour)) in book.edges.iter().zip(EDGES).enumerate() {
        lanes.push(Lane::new(edge.name, colour, of(Some(number)).map(bar).collect(), span));
    }
    lanes
}

fn troubles(canvas: &mut Canvas, panel: &Panel, lanes: &[Lane]) {
    title(canvas, panel);
    let mut top = panel.top;
    for lane in lanes {
        let height = lane.height();
        canvas.line(&[(panel.left, top), (panel.left + panel.width, top)], GRID, 1.0);
        let middle = top + height / 2.0 + 4.5;
        let style = Style::of(13.0, lane.colour).bold().anchored(Anchor::End);
        canvas.text((panel.left - 10.0, middle), lane.name, &style);
        for bar in &lane.bars {
            let row = f64::from(u32::try_from(bar.row).unwrap_or_default());
            let (x, y) = (panel.x(bar.since), top + 5.0 + row * ROW);
            let width = (panel.x(bar.until) - x).max(2.5);
            canvas.bar((x, y), (width, ROW - 3.0), lane.colour);
            let (x, anchor) =
                if bar.is_turned { (x - 4.0, Anchor::End) } else { (x + 6.0, Anchor::Start) };
            canvas.text((x, y + 10.8), &bar.name, &Style::of(LABEL, INK).anchored(anchor));
        }
        top += height;
    }
    canvas.line(&[(panel.left, top), (panel.left + panel.width, top)], GRID, 1.0);
}

fn revocations(canvas: &mut Canvas, panel: &Panel, report: &Report) {
    title(canvas, panel);
    for line in steps(2.0, REACH_TOP) {
        gridline(canvas, panel, line / REACH_TOP, &format!("{line:.0} s"));
    }
    let y = panel.y(REACH_LIMIT / REACH_TOP);
    canvas.line(&[(panel.left, y), (panel.left + panel.width, y)], "#d11f2f", 1.4);
    let style = Style::of(11.5, "#d11f2f").anchored(Anchor::End);
    canvas.text((panel.left + panel.width - 4.0, y - 5.0), "everywhere by then", &style);
    let book = report.book();
    for ((number, edge), reach) in report.reaches().iter().filter(|(_, reach)| reach.is_settled) {
        let Some(done) = book.revocations.get(*number).and_then(|this| this.done) else { continue };
        let at = report.since_start(done).as_secs_f64();
        let height = (reach.connected.as_secs_f64() / REACH_TOP).min(1.0);
        let colour = EDGES.get(*edge).copied().unwrap_or(INK);
        canvas.mark((panel.x(at), panel.y(0.0)), panel.y(height), colour);
    }
    let named = book.edges.iter().zip(EDGES).map(|(edge, colour)| (edge.name, colour));
    legend(canvas, panel, &named.collect::<Vec<_>>());
}

fn axis(canvas: &mut Canvas, panel: &Panel, span: f64) {
    let step = [5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    let step = step.into_iter().find(|step| span / step <= 16.0).unwrap_or(7200.0);
    let bottom = panel.top + panel.height;
    for at in steps(step, span) {
        let x = panel.x(at);
        canvas.line(&[(x, bottom), (x, bottom + 5.0)], FAINT, 1.0);
        let style = Style::of(12.0, FAINT).anchored(Anchor::Middle);
        canvas.text((x, bottom + 19.0), &format!("{at:.0}"), &style);
    }
    let style = Style::of(12.5, FAINT).anchored(Anchor::Middle);
    canvas.text((panel.left + panel.width / 2.0, bottom + 38.0), "seconds of load", &style);
}

fn title(canvas: &mut Canvas, panel: &Panel) {
    canvas.text((panel.left, panel.top - 10.0), panel.title, &Style::of(14.0, INK).bold());
}

fn gridline(canvas: &mut Canvas, panel: &Panel, share: f64, label: &str) {
    let y = panel.y(share);
    canvas.line(&[(panel.left, y), (panel.left + panel.width, y)], GRID, 1.0);
    let style = Style::of(12.0, FAINT).anchored(Anchor::End);
    canvas.text((panel.left - 10.0, y + 4.0), label, &style);
}

/// On the right of a panel's title.
fn legend(canvas: &mut Canvas, panel: &Panel, items: &[(&str, &str)]) {
    const SIZE: f64 = 12.0;
    let mut x = panel.left + panel.width;
    for (name, colour) in items.iter().rev() {
        x -= canvas::width(name, SIZE);
        canvas.text((x, panel.top - 10.0), name, &Style::of(SIZE, INK));
        x -= 16.0;
        canvas.swatch((x, panel.top - 19.5), 11.0, colour);
        x -= 16.0;
    }
}

/// 0, one step, two, to the last that is not above `top`.
fn steps(step: f64, top: f64) -> impl Iterator<Item = f64> {
    (0_u32..).map(move |number| f64::from(number) * step).take_while(move |at| *at <= top + 1e-9)
}
