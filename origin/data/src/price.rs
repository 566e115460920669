//! How a whole file writes its prices, which decides between two readings of one of them.

pub use snapshots::price::{Decimal, Number, Price, PriceError, number, quantity, read};

/// The decimal signs that the unambiguous prices of a file show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    dot: bool,
    comma: bool,
}

impl Marks {
    /// Takes note of a price.
    pub fn see(&mut self, number: Number) {
        match number {
            Number::Exact(_, Some(Decimal::Dot)) => self.dot = true,
            Number::Exact(_, Some(Decimal::Comma)) => self.comma = true,
            _ => {}
        }
    }

    /// Whether further prices with a decimal point change nothing.
    pub fn is_settled(self) -> bool {
        self.dot
    }

    /// The decimal sign, if all prices that show one agree.
    pub fn decimal(self) -> Option<Decimal> {
        match (self.dot, self.comma) {
            (true, false) => Some(Decimal::Dot),
            (false, true) => Some(Decimal::Comma),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_decides_only_where_its_prices_agree() {
        let marks = |texts: &[&str]| {
            let mut marks = Marks::default();
            texts.iter().for_each(|text| marks.see(read(text, None).unwrap().number));
            marks.decimal()
        };
        assert_eq!(marks(&["7,50", "12", "1.299"]), Some(Decimal::Comma));
        assert_eq!(marks(&["1,299,000", "12"]), Some(Decimal::Dot));
        assert_eq!(marks(&["7,50", "7.50"]), None);
    }
}
