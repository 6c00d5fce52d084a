//! The outcome of the tests as JUnit's XML, which every CI system shows.

use super::{Checked, Run};
use crate::bundle::report::printable;

impl Run {
    /// One suite a file, one case a case; a failed one holds what the text says of it.
    pub fn junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        out.push_str(&format!(
            "<testsuites name=\"writ policy test\" tests=\"{}\" failures=\"{}\">\n",
            self.checks.len(),
            self.failed()
        ));
        let mut rest = self.checks.as_slice();
        while let Some(first) = rest.first() {
            let of_file = |checked: &&Checked| checked.place.file == first.place.file;
            let (these, after) = rest.split_at(rest.iter().take_while(of_file).count());
            let failed = these.iter().filter(|checked| !checked.failures.is_empty());
            out.push_str(&format!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n",
                escaped(&first.place.file),
                these.len(),
                failed.count()
            ));
            these.iter().for_each(|checked| case(checked, &mut out));
            out.push_str("  </testsuite>\n");
            rest = after;
        }
        out.push_str("</testsuites>\n");
        out
    }
}

fn case(checked: &Checked, out: &mut String) {
    out.push_str(&format!(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
        escaped(&checked.test),
        escaped(&checked.what),
        escaped(&checked.place.file),
        checked.place.line
    ));
    if checked.failures.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for failure in &checked.failures {
        out.push_str(&format!(
            "      <failure message=\"expected {}; came {}\">{}</failure>\n",
            escaped(&failure.expected),
            escaped(&failure.came),
            escaped(&failure.why.join("\n"))
        ));
    }
    out.push_str("    </testcase>\n");
}

/// Text for an attribute or an element: no markup, and none of the characters that XML 1.0 has no way to write.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
