//! `wasm FILE FUNCTION [NUMBER]...` — runs a function of a WebAssembly program and prints what it
//! returns. The program may import `host.print (i64)`.

use wasmi::{Caller, Engine, Linker, Module, Store, Val, ValType};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn value(text: &str, kind: ValType) -> Outcome<Val> {
    Ok(match kind {
        ValType::I32 => Val::I32(text.parse()?),
        ValType::I64 => Val::I64(text.parse()?),
        other => return Err(format!("{other:?} cannot be given").into()),
    })
}

fn run(file: &str, name: &str, words: &[String]) -> Outcome<()> {
    let engine = Engine::default();
    let module = Module::new(&engine, &std::fs::read(file)?[..])?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "print", |_: Caller<'_, ()>, number: i64| println!("{number}"))?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let function = instance.get_func(&store, name).ok_or("no such function")?;
    let kind = function.ty(&store);
    if kind.params().len() != words.len() {
        return Err(format!("{name} takes {} numbers", kind.params().len()).into());
    }
    let values = words.iter().zip(kind.params()).map(|(word, kind)| value(word, *kind));
    let values = values.collect::<Outcome<Vec<Val>>>()?;
    let mut results = vec![Val::I32(0); kind.results().len()];
    function.call(&mut store, &values, &mut results)?;
    for result in results {
        match result {
            Val::I32(number) => println!("{number}"),
            Val::I64(number) => println!("{number}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [file, name, rest @ ..] => run(file, name, rest),
        _ => Err("usage: wasm FILE FUNCTION [NUMBER]...".into()),
    }
}
