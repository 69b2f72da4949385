//! Which columns of a table fit, and where they stand.

/// On which side a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Align {
    Left,
    Right,
}

/// A column before it is placed.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct Column<Id> {
    /// Which.
    pub(in crate::ui) id: Id,
    /// Its heading.
    pub(in crate::ui) title: &'static str,
    /// The least width at which it is shown: its widest number fits.
    pub(in crate::ui) least: u16,
    /// The width beyond which more room helps nobody.
    pub(in crate::ui) most: u16,
    /// The greater, the sooner it is dropped; 0 is never dropped.
    pub(in crate::ui) rank: u8,
    /// On which side its text stands.
    pub(in crate::ui) align: Align,
}

/// A column in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) struct Placed<Id> {
    /// Which.
    pub(in crate::ui) id: Id,
    /// Its heading.
    pub(in crate::ui) title: &'static str,
    /// Its first column on the screen.
    pub(in crate::ui) x: u16,
    /// Its width.
    pub(in crate::ui) width: u16,
    /// On which side its text stands.
    pub(in crate::ui) align: Align,
}

/// Places as many columns as fit in `width` from `x` on, with `gap` between them: the dearest rank is dropped first;
/// what is left over goes to the columns that can use it, evenly.
pub(in crate::ui) fn place<Id: Copy>(
    columns: &[Column<Id>],
    x: u16,
    width: u16,
    gap: u16,
) -> Vec<Placed<Id>> {
    let mut kept: Vec<(Column<Id>, u16)> = columns.iter().map(|column| (*column, column.least)).collect();
    let needed = |kept: &[(Column<Id>, u16)]| {
        let gaps = gap * u16::try_from(kept.len().saturating_sub(1)).unwrap_or(0);
        kept.iter().map(|(_, width)| *width).sum::<u16>() + gaps
    };
    while needed(&kept) > width {
        let dearest = kept.iter().map(|(column, _)| column.rank).max().unwrap_or(0);
        let last = kept.iter().rposition(|(column, _)| column.rank == dearest);
        match last {
            Some(last) if dearest > 0 => drop(kept.remove(last)),
            _ => break,
        }
    }
    let mut left = width.saturating_sub(needed(&kept));
    while left > 0 {
        let mut grew = false;
        for (column, width) in &mut kept {
            if left > 0 && *width < column.most {
                *width += 1;
                left -= 1;
                grew = true;
            }
        }
        if !grew {
            break;
        }
    }
    let mut at = x;
    let end = x + width;
    kept.into_iter()
        .map(|(column, wide)| {
            let placed = Placed {
                id: column.id,
                title: column.title,
                x: at.min(end),
                width: wide.min(end.saturating_sub(at)),
                align: column.align,
            };
            at = at.saturating_add(wide + gap);
            placed
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(id: char, least: u16, most: u16, rank: u8) -> Column<char> {
        Column { id, title: "", least, most, rank, align: Align::Left }
    }

    #[test]
    fn the_dearest_rank_goes_first_and_room_is_shared() {
        let columns = [column('a', 4, 4, 0), column('b', 6, 10, 2), column('c', 6, 8, 1)];
        let ids = |width| place(&columns, 0, width, 1).iter().map(|p| p.id).collect::<String>();
        assert_eq!(ids(18), "abc");
        assert_eq!(ids(17), "ac");
        assert_eq!(ids(10), "a");
        let wide = place(&columns, 0, 40, 1);
        assert_eq!(wide.iter().map(|p| p.width).collect::<Vec<_>>(), [4, 10, 8]);
        assert_eq!(wide.iter().map(|p| p.x).collect::<Vec<_>>(), [0, 5, 16]);
    }

    #[test]
    fn the_last_column_is_cut_rather_than_written_outside() {
        let placed = place(&[column('a', 9, 9, 0)], 2, 5, 1);
        assert_eq!((placed[0].x, placed[0].width), (2, 5));
    }
}
