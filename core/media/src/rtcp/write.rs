//! Writing: a report, the canonical name, and perhaps the good-bye, in one datagram.

use super::{BYE, CNAME, DESCRIPTION, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SenderInfo};

/// Writes into a buffer that may be too short.
struct Out<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at.checked_add(bytes.len())?;
        self.buffer.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    fn head(&mut self, count: u8, kind: u8, bytes: usize) -> Option<()> {
        let words = u16::try_from(bytes.div_ceil(4)).ok()?;
        let [high, low] = words.to_be_bytes();
        self.put(&[0x80 | (count & 31), kind, high, low])
    }
}

/// Writes a compound packet of `ssrc`: SR with `info`, RR without; up to 31 blocks; SDES with the
/// name; BYE. How many bytes; `None` when the buffer is too short or the name longer than 255.
#[must_use]
pub fn write(
    buffer: &mut [u8],
    ssrc: u32,
    info: Option<SenderInfo>,
    blocks: &[ReportBlock],
    cname: &[u8],
    bye: bool,
) -> Option<usize> {
    let mut out = Out { buffer, at: 0 };
    let blocks = blocks.get(..31).unwrap_or(blocks);
    let count = u8::try_from(blocks.len()).ok()?;
    let body = blocks.len() * 24 + if info.is_some() { 24 } else { 4 };
    out.head(count, if info.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, body)?;
    out.put(&ssrc.to_be_bytes())?;
    if let Some(info) = info {
        out.put(&info.ntp.to_be_bytes())?;
        out.put(&info.rtp.to_be_bytes())?;
        out.put(&info.packets.to_be_bytes())?;
        out.put(&info.octets.to_be_bytes())?;
    }
    for block in blocks {
        out.put(&block.ssrc.to_be_bytes())?;
        let [_, l0, l1, l2] = block.lost.clamp(-0x80_0000, 0x7F_FFFF).to_be_bytes();
        out.put(&[block.fraction_lost, l0, l1, l2])?;
        for word in [block.highest, block.jitter, block.last_report, block.delay] {
            out.put(&word.to_be_bytes())?;
        }
    }
    let length = u8::try_from(cname.len()).ok()?;
    // SSRC, type, length, name, and one to four zeros.
    let chunk = (4 + 2 + cname.len() + 1).next_multiple_of(4);
    out.head(1, DESCRIPTION, chunk)?;
    let end = out.at + chunk;
    out.put(&ssrc.to_be_bytes())?;
    out.put(&[CNAME, length])?;
    out.put(cname)?;
    while out.at < end {
        out.put(&[0])?;
    }
    if bye {
        out.head(1, BYE, 4)?;
        out.put(&ssrc.to_be_bytes())?;
    }
    Some(out.at)
}
