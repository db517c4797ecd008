//! `redb-check FILE` — an embedded database: two tables, a transaction that is given up, and all of
//! it found again after closing.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const NUMBERS: TableDefinition<u64, u64> = TableDefinition::new("numbers");
const NAMES: TableDefinition<&str, &[u8]> = TableDefinition::new("names");

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn write(file: &str) -> Outcome {
    let database = Database::create(file)?;
    let transaction = database.begin_write()?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        for number in 0..2000_u64 {
            numbers.insert(number, number * number)?;
        }
        transaction.open_table(NAMES)?.insert("lifeboat", &b"everything has an address"[..])?;
    }
    transaction.commit()?;
    let given_up = database.begin_write()?;
    given_up.open_table(NUMBERS)?.remove(1000)?;
    given_up.abort()?;
    Ok(())
}

fn read(file: &str) -> Outcome {
    let database = Database::open(file)?;
    let transaction = database.begin_read()?;
    let numbers = transaction.open_table(NUMBERS)?;
    let sum: u64 =
        numbers.iter()?.map(|row| Ok(row?.1.value())).sum::<Result<u64, redb::Error>>()?;
    let square = numbers.get(1000)?.map(|value| value.value());
    println!("{} rows, sum {sum}, 1000 -> {square:?}", numbers.iter()?.count());
    let names = transaction.open_table(NAMES)?;
    let name = names.get("lifeboat")?.map(|value| value.value().to_vec()).unwrap_or_default();
    println!("lifeboat: {}", String::from_utf8(name)?);
    Ok(())
}

fn main() -> Outcome {
    let file = std::env::args().nth(1).ok_or("usage: redb-check FILE")?;
    write(&file)?;
    read(&file)
}
