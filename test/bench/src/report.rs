//! The figures of a run: a table to read, a CSV to compute with, and a chart.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

/// One thing that was measured of several contenders, the first of which is the
/// measure of the others.
#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    values: Vec<(&'static str, f64)>,
}

#[derive(Debug, Default)]
pub struct Report(Vec<Row>);

impl Report {
    pub fn add(&mut self, what: &str, unit: &'static str, values: Vec<(&'static str, f64)>) {
        let row = Row {
            what: what.into(),
            unit,
            values,
        };
        println!("{}", row.line());
        self.0.push(row);
    }

    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder for the report");
        fs::write(folder.join("figures.csv"), self.csv()).expect("figures.csv");
        self.chart(&folder.join("figures.svg"))
            .expect("figures.svg");
    }

    fn csv(&self) -> String {
        let mut text = String::from("what,unit,contender,value,ratio\n");
        for row in &self.0 {
            for (contender, value) in &row.values {
                let ratio = value / row.base();
                let Row { what, unit, .. } = row;
                let _ = writeln!(text, "\"{what}\",{unit},{contender},{value:.3},{ratio:.3}");
            }
        }
        text
    }

    /// All but the first of each row, as a share of the first.
    fn chart(&self, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
        const LINE: u32 = 26;
        let bars: Vec<(String, &str, f64)> = self
            .0
            .iter()
            .flat_map(|row| {
                let others = row.values.iter().skip(1);
                others.map(|(name, value)| {
                    let label = format!("{}: {name}", row.what);
                    (label, *name, value / row.base())
                })
            })
            .collect();
        let height = 40 + LINE * u32::try_from(bars.len())?;
        let area = SVGBackend::new(file, (900, height)).into_drawing_area();
        area.fill(&WHITE)?;
        let text = ("sans-serif", 13).into_font();
        let scale = |ratio: f64| 430 + (ratio.min(2.0) * 200.0) as i32;
        for ((label, name, ratio), index) in bars.iter().zip(0..) {
            let top = 30 + index * i32::try_from(LINE)?;
            let color = if *name == "ours" { GREEN } else { RED };
            let bar = [(430, top), (scale(*ratio), top + 16)];
            area.draw(&Rectangle::new(bar, color.mix(0.6).filled()))?;
            area.draw(&Text::new(label.clone(), (8, top + 2), text.clone()))?;
            let value = format!("{ratio:.2}");
            area.draw(&Text::new(
                value,
                (scale(*ratio) + 6, top + 2),
                text.clone(),
            ))?;
        }
        let one = [(scale(1.0), 24), (scale(1.0), i32::try_from(height)?)];
        area.draw(&PathElement::new(one, BLACK))?;
        area.draw(&Text::new("runc = 1", (scale(1.0) - 24, 6), text))?;
        area.present()?;
        Ok(())
    }
}

impl Row {
    fn base(&self) -> f64 {
        self.values.first().map_or(1.0, |(_, value)| *value)
    }

    fn line(&self) -> String {
        let Self { what, unit, values } = self;
        let mut line = format!("{what:<44}");
        for (index, (name, value)) in values.iter().enumerate() {
            let _ = write!(line, " | {name} {value:.2} {unit}");
            if index > 0 {
                let _ = write!(line, " ({:.2})", value / self.base());
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_as_shares_of_the_first() {
        let mut report = Report::default();
        report.add("start", "ms", vec![("runc", 40.0), ("ours", 10.0)]);
        assert!(report.0[0].line().ends_with("| ours 10.00 ms (0.25)"));
        assert!(report.csv().ends_with("\"start\",ms,ours,10.000,0.250\n"));
    }
}
