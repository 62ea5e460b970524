//! What a file says about itself before it is loaded: the first 16 bytes of `kk_module_entry`,
//! found by reading the file as ELF-64 (System V ABI, chapters 4 and 5). Nothing of the file is
//! run, and no offset in it is trusted.

use koukan_abi::{ABI_MAJOR, ABI_MINOR, ENTRY_SYMBOL, Entry, MAGIC, PREFLIGHT_LEN, SCHEMA_SYMBOL};

/// Why a file is no module for this server: the file's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// Something else altogether.
    #[error("is no ELF shared object: it does not begin with the ELF magic")]
    NotElf,
    /// Another word length or byte order.
    #[error("is an ELF file of another kind of machine: only 64-bit little-endian ones are loaded")]
    Class,
    /// Another processor.
    #[error("is an ELF file for another processor: its machine is {found}, this server's {own}")]
    Machine {
        /// The file's `e_machine`.
        found: u16,
        /// This server's.
        own: u16,
    },
    /// A program or an object file.
    #[error("is an ELF file, but no shared object: its type is {found}, not 3")]
    NotShared {
        /// The file's `e_type`.
        found: u16,
    },
    /// An offset leads out of the file, or a table has an impossible size.
    #[error("is a damaged ELF file: {0} lies outside of it or makes no sense")]
    Damaged(&'static str),
    /// A shared object, but no module.
    #[error("is an ELF shared object that does not export {ENTRY_SYMBOL}: it is no module")]
    NoEntry,
    /// The symbol is there, but something else.
    #[error("exports a {ENTRY_SYMBOL} that does not begin with the module magic")]
    Magic,
    /// Another major version.
    #[error(
        "was built for version {found} of the module border, this server has {ABI_MAJOR}: build \
         the module against this server's koukan.h or SDK"
    )]
    Major {
        /// The file's.
        found: u16,
    },
    /// A newer minor version.
    #[error(
        "needs version {ABI_MAJOR}.{found} of the module border, this server has \
         {ABI_MAJOR}.{ABI_MINOR}: use a newer server"
    )]
    Minor {
        /// The file's.
        found: u16,
    },
    /// The entry is smaller than the first version's.
    #[error("has a {ENTRY_SYMBOL} of {found} bytes, too few for its version")]
    Size {
        /// Its bytes by its own word.
        found: u32,
    },
}

/// Looks at a whole file.
///
/// # Errors
/// It is no module for this server.
pub fn preflight(file: &[u8]) -> Result<(), PreflightError> {
    let elf = Elf::new(file)?;
    let (address, _) = elf.symbol(ENTRY_SYMBOL.as_bytes())?.ok_or(PreflightError::NoEntry)?;
    let head = elf.loaded(address)?.first_chunk();
    check(head.ok_or(PreflightError::Damaged("its entry"))?)
}

/// What a module says that its applications take: the text of its `kk_module_schema`.
#[must_use]
pub fn schema(file: &[u8]) -> Option<String> {
    let elf = Elf::new(file).ok()?;
    let (address, size) = elf.symbol(SCHEMA_SYMBOL.as_bytes()).ok()??;
    let size = usize::try_from(size).ok().filter(|size| *size <= SCHEMA_BYTES)?;
    let text = elf.loaded(address).ok()?.get(..size)?;
    // A C string ends with zero, one of Rust does not.
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    std::str::from_utf8(text).ok().map(str::to_owned)
}

/// What a schema may have.
const SCHEMA_BYTES: usize = 65_536;

/// Looks at the first bytes of a `kk_module_entry`.
///
/// # Errors
/// The module does not fit this server.
pub fn check(head: &[u8; PREFLIGHT_LEN]) -> Result<(), PreflightError> {
    let [magic @ .., s0, s1, s2, s3, major0, major1, minor0, minor1] = *head;
    if magic != MAGIC {
        return Err(PreflightError::Magic);
    }
    let major = u16::from_le_bytes([major0, major1]);
    if major != ABI_MAJOR {
        return Err(PreflightError::Major { found: major });
    }
    let minor = u16::from_le_bytes([minor0, minor1]);
    if minor > ABI_MINOR {
        return Err(PreflightError::Minor { found: minor });
    }
    let size = u32::from_le_bytes([s0, s1, s2, s3]);
    if usize::try_from(size).is_ok_and(|size| size < size_of::<Entry>()) {
        return Err(PreflightError::Size { found: size });
    }
    Ok(())
}

/// The machine that this server was built for, as ELF numbers it.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    0
};

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_SHARED: u16 = 3;
const SECTION_DYNSYM: u32 = 11;
const SEGMENT_LOAD: u32 = 1;
const SYMBOL_OBJECT: u8 = 1;
const SECTION_HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;
const SYMBOL: usize = 24;

/// A file with a fitting ELF header.
struct Elf<'f> {
    file: &'f [u8],
}

/// A section's place in the file.
struct Section<'f> {
    kind: u32,
    link: u32,
    bytes: Option<&'f [u8]>,
}

impl<'f> Elf<'f> {
    fn new(file: &'f [u8]) -> Result<Self, PreflightError> {
        let Some(rest) = file.strip_prefix(b"\x7fELF") else { return Err(PreflightError::NotElf) };
        let &[class, order, ..] = rest else { return Err(PreflightError::Damaged("its header")) };
        if (class, order) != (CLASS_64, LITTLE_ENDIAN) {
            return Err(PreflightError::Class);
        }
        let elf = Self { file };
        let kind = elf.u16(0x10, "its header")?;
        let machine = elf.u16(0x12, "its header")?;
        if machine != MACHINE {
            return Err(PreflightError::Machine { found: machine, own: MACHINE });
        }
        if kind != TYPE_SHARED {
            return Err(PreflightError::NotShared { found: kind });
        }
        Ok(elf)
    }

    /// The address and the size of an exported data object.
    fn symbol(&self, name: &[u8]) -> Result<Option<(u64, u64)>, PreflightError> {
        const WHAT: &str = "its table of dynamic symbols";
        let count = u32::from(self.u16(0x3c, "its header")?);
        for index in 0..count {
            let section = self.section(index)?;
            if section.kind != SECTION_DYNSYM {
                continue;
            }
            let symbols = section.bytes.ok_or(PreflightError::Damaged(WHAT))?;
            let names = self.section(section.link)?.bytes.ok_or(PreflightError::Damaged(WHAT))?;
            for symbol in symbols.chunks_exact(SYMBOL) {
                let symbol = Elf { file: symbol };
                if !is_named(names, symbol.u32(0, WHAT)?, name) {
                    continue;
                }
                let kind = symbol.array::<1>(4, WHAT)?.map(|info| info & 0xf);
                let is_defined = symbol.u16(6, WHAT)? != 0;
                if is_defined && kind == [SYMBOL_OBJECT] {
                    return Ok(Some((symbol.u64(8, WHAT)?, symbol.u64(16, WHAT)?)));
                }
            }
            // A file has one such table; a hostile one could have us read itself 65,535 times.
            break;
        }
        Ok(None)
    }

    /// What the file puts at an address once it is loaded, and behind it.
    fn loaded(&self, address: u64) -> Result<&'f [u8], PreflightError> {
        const WHAT: &str = "its table of segments";
        let table = self.u64(0x20, WHAT)?;
        if self.u16(0x36, WHAT)? != PROGRAM_HEADER {
            return Err(PreflightError::Damaged(WHAT));
        }
        for index in 0..u64::from(self.u16(0x38, WHAT)?) {
            let at = index.checked_mul(u64::from(PROGRAM_HEADER));
            let header = at.and_then(|at| table.checked_add(at));
            let header = offset(header.ok_or(PreflightError::Damaged(WHAT))?, WHAT)?;
            let header = Elf { file: self.tail(header, WHAT)? };
            let (start, size) = (header.u64(0x10, WHAT)?, header.u64(0x20, WHAT)?);
            let Some(within) = address.checked_sub(start) else { continue };
            if header.u32(0, WHAT)? != SEGMENT_LOAD || within >= size {
                continue;
            }
            let at = header.u64(8, WHAT)?.checked_add(within);
            let at = offset(at.ok_or(PreflightError::Damaged(WHAT))?, WHAT)?;
            return self.tail(at, "its entry");
        }
        Err(PreflightError::Damaged("its entry"))
    }

    fn section(&self, index: u32) -> Result<Section<'f>, PreflightError> {
        const WHAT: &str = "its table of sections";
        if self.u16(0x3a, WHAT)? != SECTION_HEADER {
            return Err(PreflightError::Damaged(WHAT));
        }
        let at = u64::from(index).checked_mul(u64::from(SECTION_HEADER));
        let at = at.and_then(|at| self.u64(0x28, WHAT).ok()?.checked_add(at));
        let at = offset(at.ok_or(PreflightError::Damaged(WHAT))?, WHAT)?;
        let header = Elf { file: self.tail(at, WHAT)? };
        let start = offset(header.u64(0x18, WHAT)?, WHAT);
        let size = offset(header.u64(0x20, WHAT)?, WHAT);
        // A section may have no bytes in the file (.bss), so this alone is no damage.
        let bytes = start.ok().and_then(|start| self.file.get(start..));
        let bytes = bytes.and_then(|bytes| bytes.get(..size.ok()?));
        Ok(Section { kind: header.u32(4, WHAT)?, link: header.u32(0x28, WHAT)?, bytes })
    }

    fn tail(&self, at: usize, what: &'static str) -> Result<&'f [u8], PreflightError> {
        self.file.get(at..).ok_or(PreflightError::Damaged(what))
    }

    fn array<const N: usize>(
        &self,
        at: usize,
        what: &'static str,
    ) -> Result<[u8; N], PreflightError> {
        let bytes = self.tail(at, what)?.first_chunk();
        bytes.copied().ok_or(PreflightError::Damaged(what))
    }

    fn u16(&self, at: usize, what: &'static str) -> Result<u16, PreflightError> {
        self.array(at, what).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize, what: &'static str) -> Result<u32, PreflightError> {
        self.array(at, what).map(u32::from_le_bytes)
    }

    fn u64(&self, at: usize, what: &'static str) -> Result<u64, PreflightError> {
        self.array(at, what).map(u64::from_le_bytes)
    }
}

fn offset(value: u64, what: &'static str) -> Result<usize, PreflightError> {
    usize::try_from(value).map_err(|_| PreflightError::Damaged(what))
}

/// Whether the zero-terminated name at `at` is `name`.
fn is_named(names: &[u8], at: u32, name: &[u8]) -> bool {
    let tail = usize::try_from(at).ok().and_then(|at| names.get(at..));
    tail.and_then(|tail| tail.strip_prefix(name)).is_some_and(|rest| rest.first() == Some(&0))
}
