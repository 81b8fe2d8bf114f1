//! The report as JSON, for programs: everything, with every point of every plot.

use serde_json::{Error, Value, json};

use super::Report;

/// The whole report.
pub fn write(report: &Report) -> Result<String, Error> {
    let mut value = serde_json::to_value(report)?;
    if let Value::Object(members) = &mut value {
        members.insert("charts".to_owned(), json!(report.all_charts()));
    }
    serde_json::to_string_pretty(&value).map(|text| text + "\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::eventful;
    use super::*;

    /// Shows that a program finds the numbers, the verdicts, and the charts that follow from them.
    #[test]
    fn everything_is_there() {
        let value: Value = serde_json::from_str(&write(&eventful()).unwrap()).unwrap();
        assert_eq!(value["rows"][0]["verdict"], "no_peer");
        assert_eq!(value["fan_outs"][0]["server"], 900_000.0);
        let titles: Vec<&str> =
            value["charts"].as_array().unwrap().iter().map(|chart| chart["kind"].as_str().unwrap()).collect();
        assert_eq!(titles, ["bars", "dots", "percentiles", "lines"]);
    }
}
