//! COBS as SPEC §19.1 describes it, block by block.

/// The packet that these blocks stand for; `None` where they break off.
pub fn decode(blocks: &[u8]) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    let mut rest = blocks;
    while let Some((code, behind)) = rest.split_first() {
        let (block, behind) = behind.split_at_checked(usize::from(*code).checked_sub(1)?)?;
        packet.extend(block);
        rest = behind;
        if *code < 255 && !rest.is_empty() {
            packet.push(0);
        }
    }
    Some(packet)
}

/// The blocks that stand for a packet.
pub fn encode(packet: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::new();
    let mut rest = packet;
    loop {
        let run = rest.iter().take(254).take_while(|byte| **byte != 0).count();
        blocks.push(run as u8 + 1);
        blocks.extend(&rest[..run]);
        rest = &rest[run..];
        match rest.split_first() {
            // A full block stands for its bytes alone.
            Some(_) if run == 254 => {}
            Some((_, behind)) => {
                rest = behind;
                if rest.is_empty() {
                    blocks.push(1);
                    return blocks;
                }
            }
            None => return blocks,
        }
    }
}
