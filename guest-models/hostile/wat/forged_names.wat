;; Traps in a function whose name would begin a line of the host's log, and another that would
;; turn one around.
(component
  (core module $m
    (memory (export "memory") 1)
    ;; @include base.part
    (func $inner (@name "\0a2026-11-28T00:00:00.000000Z  WARN belljar::auth: FORGED") (unreachable))
    (func $turned (@name "\e2\80\ae\e2\80\a8FORGED\1b[2J") (call $inner))
    (func (export "infer") (param $inputs i32) (param $inputs-count i32) (param i32 i32 i32 i32) (result i32)
      (call $turned) (i32.const 64))
  )
  (core instance $main (instantiate $m))
  ;; @include tensors.part
)
