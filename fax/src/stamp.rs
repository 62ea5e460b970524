//! A zoned date-time as an office's clock shows it; handed in, because nothing here has a clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Year to second, and how far east of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Minutes east of UTC; 540 in Japan.
    pub offset_minutes: i16,
}

impl Default for Stamp {
    fn default() -> Self {
        let (year, month, day) = (1970, 1, 1);
        Self { year, month, day, hour: 0, minute: 0, second: 0, offset_minutes: 0 }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}
