//! The sample office of the language's description: it loads, and its expectations hold.

mod office;

use koukan_dialplan::Capabilities;
use office::{load, sample};

#[test]
fn the_whole_sample_loads_and_all_its_expectations_hold() {
    let loaded = load(&sample(), &Capabilities::all());
    assert_eq!(loaded.report.to_string(), "");
    assert_eq!(loaded.plans.devices().count(), 6);
}
