//! Reads Parquet files as tables of text, so that an importer of tables reads them as it reads CSV.
//!
//! A column becomes a column of text: numbers in their shortest form, dates and times in RFC 3339's order, nulls as empty
//! fields. Columns of structs, lists and maps are left out. Rows are read one at a time.

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use std::{
    fs::File,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is cut, damaged, encrypted or of an unknown encoding.
    #[error("the Parquet file cannot be read")]
    Parquet(#[from] ParquetError),
    /// The file makes the reader fail in a way that names no cause.
    #[error("the Parquet file is damaged, or uses a type that is not supported")]
    Unsupported,
    /// A column of bytes holds something that is not text.
    #[error("row {row}: column '{column}' is not text")]
    NotText {
        /// Number of the row, from 1.
        row: u64,
        /// Name of the column.
        column: String,
    },
    /// The file has no columns but structs, lists and maps.
    #[error("the Parquet file has no column of plain values")]
    NoColumns,
    /// The table cannot be written.
    #[error("cannot write the table")]
    Write(#[from] csv::Error),
}

/// Writes the rows of a Parquet file as CSV with a header (RFC 4180, UTF-8). Returns the number of rows.
///
/// # Errors
/// The file is no complete Parquet file, or `out` cannot be written.
pub fn to_csv(file: File, out: impl Write) -> Result<u64, Error> {
    // The library panics for some damaged files.
    catch_unwind(AssertUnwindSafe(|| convert(file, out))).unwrap_or(Err(Error::Unsupported))
}

fn convert(file: File, out: impl Write) -> Result<u64, Error> {
    let reader = SerializedFileReader::new(file)?;
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    let plain: Vec<bool> = fields
        .iter()
        .map(|field| {
            field.is_primitive()
                && field.get_basic_info().repetition() != parquet::basic::Repetition::REPEATED
        })
        .collect();
    let names: Vec<&str> =
        fields.iter().zip(&plain).filter(|(_, plain)| **plain).map(|(field, _)| field.name()).collect();
    if names.is_empty() {
        return Err(Error::NoColumns);
    }
    let mut table = csv::Writer::from_writer(out);
    table.write_record(&names)?;
    let mut rows = 0;
    for row in reader.get_row_iter(None)? {
        rows += 1;
        write_row(&mut table, &row?, &plain, rows)?;
    }
    table.flush().map_err(csv::Error::from)?;
    Ok(rows)
}

fn write_row(
    table: &mut csv::Writer<impl Write>,
    row: &Row,
    plain: &[bool],
    number: u64,
) -> Result<(), Error> {
    for ((column, field), _) in row.get_column_iter().zip(plain).filter(|(_, plain)| **plain) {
        let not_text = || Error::NotText { row: number, column: column.clone() };
        match field {
            Field::Null => table.write_field("")?,
            Field::Str(text) => table.write_field(text)?,
            Field::Bytes(bytes) => {
                table.write_field(std::str::from_utf8(bytes.data()).map_err(|_| not_text())?)?
            }
            Field::Float(number) => table.write_field(number.to_string())?,
            Field::Double(number) => table.write_field(number.to_string())?,
            other => table.write_field(other.to_string())?,
        }
    }
    table.write_record(None::<&[u8]>)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;
    use parquet::{
        basic::{Compression, ZstdLevel},
        data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    use std::{io::Seek, sync::Arc};

    const SCHEMA: &str = "message log {
        required int64 at (TIMESTAMP(MICROS,true));
        optional binary sku (UTF8);
        required double price;
        required int32 day (DATE);
        required int32 cents (DECIMAL(9,2));
        optional group tags (LIST) { repeated group list { required binary element (UTF8); } }
    }";

    fn written(compression: Compression) -> File {
        let file = tempfile::tempfile().unwrap();
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(file.try_clone().unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = 0;
        while let Some(mut next) = group.next_column().unwrap() {
            let _rows = match column {
                0 => next
                    .typed::<Int64Type>()
                    .write_batch(&[1_764_163_757_000_000, 1_000], None, None)
                    .unwrap(),
                1 => {
                    let text = ByteArray::from("Mug, \"red\"");
                    next.typed::<ByteArrayType>().write_batch(&[text], Some(&[1, 0]), None).unwrap()
                }
                2 => next.typed::<DoubleType>().write_batch(&[12.5, 3.0], None, None).unwrap(),
                3 => next.typed::<Int32Type>().write_batch(&[20_783, 0], None, None).unwrap(),
                4 => next.typed::<Int32Type>().write_batch(&[1_299, 5], None, None).unwrap(),
                _ => next.typed::<ByteArrayType>().write_batch(&[], Some(&[0, 0]), Some(&[0, 0])).unwrap(),
            };
            next.close().unwrap();
            column += 1;
        }
        group.close().unwrap();
        writer.close().unwrap();
        let mut file = file;
        file.rewind().unwrap();
        file
    }

    #[test]
    fn plain_columns_become_text_and_nested_ones_are_left_out() {
        let codecs = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::LZ4_RAW,
            Compression::ZSTD(ZstdLevel::default()),
        ];
        for codec in codecs {
            let mut table = Vec::new();
            assert_eq!(to_csv(written(codec), &mut table).unwrap(), 2);
            let table = String::from_utf8(table).unwrap();
            let lines: Vec<&str> = table.lines().collect();
            assert_eq!(lines[0], "at,sku,price,day,cents");
            assert_eq!(
                lines[1],
                "2025-11-26 13:29:17.000000 +00:00,\"Mug, \"\"red\"\"\",12.5,2026-11-26,12.99"
            );
            assert_eq!(lines[2], "1970-01-01 00:00:00.001000 +00:00,,3,1970-01-01,0.05");
        }
    }

    #[test]
    fn damaged_files_are_errors() {
        use std::os::unix::fs::FileExt;
        let length = written(Compression::SNAPPY).metadata().unwrap().len();
        for cut in [0, 3, 4, length / 2, length - 1] {
            let file = written(Compression::SNAPPY);
            file.set_len(cut).unwrap();
            assert!(to_csv(file, std::io::sink()).is_err(), "cut at {cut}");
        }
        for at in 0..length {
            let file = written(Compression::SNAPPY);
            file.write_all_at(&[0xff], at).unwrap();
            // Any outcome but a panic or an endless loop.
            let _ = to_csv(file, std::io::sink());
        }
    }
}
