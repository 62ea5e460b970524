//! What modules count themselves (`kk.metrics/1`), by module and build.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::{ModuleInfo, ModuleMetric};

/// Writes every metric of every build; those of one name stand together, as the format wants it.
pub(super) fn write(modules: &[ModuleInfo], page: &mut String) {
    let mut by_name: BTreeMap<&str, Vec<(&ModuleInfo, &ModuleMetric)>> = BTreeMap::new();
    for module in modules {
        for metric in &module.metrics {
            by_name.entry(&metric.name).or_default().push((module, metric));
        }
    }
    for (name, all) in by_name {
        let Some((_, first)) = all.first() else { continue };
        // Two modules may mean different things by one word.
        let kind = match first.counts {
            _ if all.iter().any(|(_, metric)| metric.counts != first.counts) => "untyped",
            true => "counter",
            false => "gauge",
        };
        let help = first.help.replace('\\', "\\\\");
        let _ = writeln!(
            page,
            "# HELP koukan_module_{name} {help}\n# TYPE koukan_module_{name} {kind}"
        );
        for (module, metric) in all {
            let (of, build, value) = (&module.name, module.build, metric.value);
            let _ =
                writeln!(page, "koukan_module_{name}{{module=\"{of}\",build=\"{build}\"}} {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(name: &str, build: usize, metrics: &[(&str, bool, i64)]) -> ModuleInfo {
        let metric = |&(name, counts, value): &(&str, bool, i64)| ModuleMetric {
            name: name.to_owned(),
            help: format!("What {name} is."),
            counts,
            value,
        };
        ModuleInfo {
            name: name.to_owned(),
            build,
            metrics: metrics.iter().map(metric).collect(),
            ..ModuleInfo::default()
        }
    }

    #[test]
    fn builds_of_a_module_stand_side_by_side_under_one_head() {
        let builds = [
            build("voicemail", 1, &[("left", true, 3), ("boxes", false, -1)]),
            build("voicemail", 4, &[("left", true, 1)]),
            build("other", 2, &[("boxes", true, 9)]),
        ];
        let mut page = String::new();
        write(&builds, &mut page);
        assert_eq!(
            page.lines().collect::<Vec<_>>(),
            [
                "# HELP koukan_module_boxes What boxes is.",
                "# TYPE koukan_module_boxes untyped",
                "koukan_module_boxes{module=\"voicemail\",build=\"1\"} -1",
                "koukan_module_boxes{module=\"other\",build=\"2\"} 9",
                "# HELP koukan_module_left What left is.",
                "# TYPE koukan_module_left counter",
                "koukan_module_left{module=\"voicemail\",build=\"1\"} 3",
                "koukan_module_left{module=\"voicemail\",build=\"4\"} 1",
            ]
        );
    }
}
