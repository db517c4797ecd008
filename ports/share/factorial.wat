;; factorial (i64) -> i64, and its steps printed by the host: `wasm factorial.wat factorial 10`.
(module
  (import "host" "print" (func $print (param i64)))
  (func (export "factorial") (param $n i64) (result i64)
    (local $product i64)
    (local.set $product (i64.const 1))
    (block $done
      (loop $again
        (br_if $done (i64.le_s (local.get $n) (i64.const 1)))
        (local.set $product (i64.mul (local.get $product) (local.get $n)))
        (call $print (local.get $product))
        (local.set $n (i64.sub (local.get $n) (i64.const 1)))
        (br $again)))
    (local.get $product)))
