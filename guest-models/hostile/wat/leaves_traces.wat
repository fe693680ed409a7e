;; Answers with how many traces of an earlier run it finds in its table, its globals and the end of its memory, which must
;; be none; then leaves traces in all of them. With one input it traps afterwards, with two it never comes
;; back, otherwise it returns.
(component
  (core module $m
    (memory (export "memory") 16)
    ;; @include base.part
    (table $table 1000 funcref)
    (elem declare func $trace)
    (global $global (mut i64) (i64.const 0))
    (global $vector (mut v128) (v128.const i64x2 0 0))
    (global $reference (mut funcref) (ref.null func))
    (func $trace)
    ;; @include answer.part
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (local $found i64)
      (local $index i32)
      ;; Look in the globals,
      (if (i64.ne (global.get $global) (i64.const 0))
        (then (local.set $found (i64.const 1))))
      (if (v128.any_true (global.get $vector))
        (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
      (if (i32.eqz (ref.is_null (global.get $reference)))
        (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
      ;; the table, which grows into what a larger one may have left behind,
      (drop (table.grow $table (ref.null func) (i32.const 1000)))
      (loop $next
        (if (i32.eqz (ref.is_null (table.get $table (local.get $index))))
          (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $index) (table.size $table))))
      ;; and the memory past what the request can have filled.
      (local.set $index (i32.const 524288))
      (loop $next
        (if (i64.ne (i64.load (local.get $index)) (i64.const 0))
          (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
        (local.set $index (i32.add (local.get $index) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $index) (i32.const 1048576))))
      ;; Then leave the traces.
      (global.set $global (i64.const 0x5ec2e7b1))
      (global.set $vector (v128.const i64x2 0x5ec2e7b1 0x5ec2e7b1))
      (global.set $reference (ref.func $trace))
      (table.fill $table (i32.const 0) (ref.func $trace) (table.size $table))
      (memory.fill (i32.const 524288) (i32.const 0x5e) (i32.const 524288))
      (if (i32.eq (local.get $inputs-count) (i32.const 1)) (then (unreachable)))
      (if (i32.eq (local.get $inputs-count) (i32.const 2)) (then (loop $again (br $again))))
      (call $answer (local.get $found)))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
