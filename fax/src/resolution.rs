//! What a fax page measures (ITU-T T.4, 2.1 and 2.2): lines of 1728, 2048 or 2432 picture elements
//! on 215, 255 or 303 mm, and 3.85, 7.7 or 15.4 lines a millimetre.

use serde::{Deserialize, Serialize};

/// Lines a millimetre.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// 3.85 lines a millimetre: 98 an inch.
    Standard,
    /// 7.7 lines a millimetre: 196 an inch.
    #[default]
    Fine,
    /// 15.4 lines a millimetre: 391 an inch; only for machines whose DIS allows it.
    Superfine,
}

impl Resolution {
    /// Lines an inch.
    #[must_use]
    pub const fn lines_per_inch(self) -> f32 {
        match self {
            Self::Standard => 97.79,
            Self::Fine => 195.58,
            Self::Superfine => 391.16,
        }
    }

    /// The resolution whose lines are nearest.
    #[must_use]
    pub fn nearest(lines_per_inch: f32) -> Self {
        match lines_per_inch {
            lines if lines < 147.0 => Self::Standard,
            lines if lines < 293.0 => Self::Fine,
            _ => Self::Superfine,
        }
    }

    /// Both dimensions.
    #[must_use]
    pub const fn dpi(self) -> Dpi {
        Dpi { x: DOTS_PER_INCH, y: self.lines_per_inch() }
    }
}

/// 1728 picture elements on 215 mm.
pub const DOTS_PER_INCH: f32 = 204.15;

/// Dots and lines an inch, as a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dpi {
    /// Along a line.
    pub x: f32,
    /// Down the page.
    pub y: f32,
}

impl Dpi {
    /// What is between 30 and 2400 in both dimensions.
    #[must_use]
    pub fn sane(x: f32, y: f32) -> Option<Self> {
        let fits = |value: f32| (30.0..=2_400.0).contains(&value);
        (fits(x) && fits(y)).then_some(Self { x, y })
    }
}

/// The paper that a page is laid out for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Paper {
    /// 210 by 297 mm: 1728 picture elements a line.
    #[default]
    A4,
    /// 257 by 364 mm (JIS): 2048 picture elements a line.
    B4,
}

impl Paper {
    /// Picture elements a line.
    #[must_use]
    pub const fn width(self) -> u32 {
        match self {
            Self::A4 => 1_728,
            Self::B4 => 2_048,
        }
    }

    /// Lines of a whole page.
    #[must_use]
    pub const fn height(self, resolution: Resolution) -> u32 {
        match (self, resolution) {
            (Self::A4, Resolution::Standard) => 1_143,
            (Self::A4, Resolution::Fine) => 2_286,
            (Self::A4, Resolution::Superfine) => 4_573,
            (Self::B4, Resolution::Standard) => 1_401,
            (Self::B4, Resolution::Fine) => 2_802,
            (Self::B4, Resolution::Superfine) => 5_605,
        }
    }

    /// The smallest of the two that takes a sheet of so many millimetres upright, up to `largest`;
    /// three hundredths more are a matter of scaling.
    #[must_use]
    pub fn for_sheet(width_mm: f32, height_mm: f32, largest: Self) -> Self {
        let fits = width_mm <= 210.0 * 1.03 && height_mm <= 297.0 * 1.03;
        if fits { Self::A4 } else { largest }
    }
}
