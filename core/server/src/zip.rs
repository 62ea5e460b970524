//! ZIP files of entries that are stored as they are (APPNOTE 6.3, 4.3 and 4.4.5, method 0): sound
//! in G.711 does not become smaller. No entry and no file reaches 4 GB here, so that nothing of
//! ZIP64 is needed.

/// A ZIP file in the making.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

/// Names are UTF-8 (4.4.4, bit 11).
const UTF8: u16 = 1 << 11;
/// 1980-01-01 without a time, the first that the format knows: names carry the dates.
const DATE: u32 = 0x0021_0000;
/// Version 2.0 reads it.
const VERSION: u16 = 20;

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Archive {
    /// Adds a file.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) {
        let offset = size(self.bytes.len());
        let mut common = Vec::new();
        common.extend(VERSION.to_le_bytes());
        common.extend(UTF8.to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        common.extend(DATE.to_le_bytes());
        common.extend(crc32fast::hash(content).to_le_bytes());
        common.extend(size(content.len()).to_le_bytes());
        common.extend(size(content.len()).to_le_bytes());
        common.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        common.extend(0_u16.to_le_bytes());

        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&common);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content);

        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(VERSION.to_le_bytes());
        self.directory.extend(&common);
        // Comment, disk, internal and external attributes: none.
        self.directory.extend([0; 10]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries = self.entries.saturating_add(1);
    }

    /// The whole file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let offset = size(self.bytes.len());
        self.bytes.extend(&self.directory);
        self.bytes.extend(b"PK\x05\x06");
        self.bytes.extend([0; 4]);
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(size(self.directory.len()).to_le_bytes());
        self.bytes.extend(offset.to_le_bytes());
        self.bytes.extend([0; 2]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_reads_what_is_written() {
        let mut archive = Archive::default();
        archive.add("伝言.wav", b"hello");
        archive.add("b.wav", &[7; 1_000]);
        let file = std::env::temp_dir().join(format!("koukan-zip-{}.zip", std::process::id()));
        std::fs::write(&file, archive.finish()).unwrap();
        let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is \
                      None; print([(i.filename, i.file_size) for i in z.infolist()])";
        let output = std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&file)
            .env("PYTHONIOENCODING", "utf-8")
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.trim(), "[('伝言.wav', 5), ('b.wav', 1000)]", "{output:?}");
    }
}
