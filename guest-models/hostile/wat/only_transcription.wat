;; Exports `transcription` and nothing else. The interface is empty: the refusal comes before anybody
;; looks inside.
(component
  (instance $nothing)
  (export "belljar:model/transcription@0.1.0" (instance $nothing))
)
