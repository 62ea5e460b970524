//! Where a file is mapped in this process: `/proc/self/maps` (proc_pid_maps(5)), which is also the
//! proof that a library is gone.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// The addresses that the mappings of a file span; none when it is not mapped.
pub(super) fn range(file: &Path) -> Option<Range<usize>> {
    // Paths in the map are not escaped but for line ends; ours have none.
    find(&fs::read_to_string("/proc/self/maps").ok()?, file.to_str()?)
}

fn find(maps: &str, file: &str) -> Option<Range<usize>> {
    let own = maps.lines().filter(|line| {
        let line = line.strip_suffix(" (deleted)").unwrap_or(line);
        line.strip_suffix(file).is_some_and(|rest| rest.ends_with(' '))
    });
    let ranges = own.filter_map(|line| {
        let (start, rest) = line.split_once('-')?;
        let (end, _) = rest.split_once(' ')?;
        Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
    });
    ranges.fold(None, |whole: Option<Range<usize>>, (start, end)| match whole {
        Some(whole) => Some(whole.start.min(start)..whole.end.max(end)),
        None => Some(start..end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
7f10-7f20 r--p 00000000 00:1b 12 /data/modules/v-1-0.so
7f20-7f30 r-xp 00001000 00:1b 12 /data/modules/v-1-0.so
7f40-7f50 rw-p 00003000 00:1b 12 /data/modules/v-1-0.so (deleted)
8f00-8f10 r--p 00000000 00:1b 13 /other/data/modules/v-1-0.so
9000-9010 rw-p 00000000 00:00 0 [heap]
";

    #[test]
    fn a_file_spans_all_its_mappings_and_no_other_files() {
        assert_eq!(find(MAPS, "/data/modules/v-1-0.so"), Some(0x7f10..0x7f50));
        assert_eq!(find(MAPS, "/other/data/modules/v-1-0.so"), Some(0x8f00..0x8f10));
        assert_eq!(find(MAPS, "/data/modules/v-1-1.so"), None);
        assert_eq!(find("nonsense /x\nzz-yy r /x\n-\n", "/x"), None);
    }

    #[test]
    fn this_program_is_mapped() {
        let own = std::env::current_exe().unwrap();
        let here = this_program_is_mapped as fn() as usize;
        assert!(range(&own).unwrap().contains(&here));
    }
}
