//! Tables in the documentation that the tests compare with the results.

use std::fs;
use std::path::PathBuf;

/// Returns the table `name` in a file of `docs/`. If the environment variable `UPDATE_DOCS` is set, the function first
/// replaces the table with `table`.
pub fn documented_table(file: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name}: begin -->\n\n");
    let end = format!("<!-- {name}: end -->");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(&begin).unwrap();
    let (documented, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_none() {
        return documented.to_owned();
    }
    fs::write(&file, format!("{before}{begin}{table}{end}{after}")).unwrap();
    table.to_owned()
}
