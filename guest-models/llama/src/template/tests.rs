use serde_json::json;

use super::*;

fn rendered(source: &str, variables: serde_json::Value) -> Result<String, String> {
    Template::new(source.to_owned()).unwrap().render(&variables)
}

#[test]
fn what_templates_of_models_use_is_there() {
    let source = "{%- for m in messages %}\n  {%- set text = m['content'].strip() %}\n\
                  {{ m.role | upper }}: {{ text }}{{ '\\n' }}\n\
                  {%- if m.get('tool_calls') %}{{ m.tool_calls[0].function | tojson }}{% endif %}\n\
                  {%- endfor %}{{ messages[-1].content.split(' ')[0] }}{{ messages[::-1] | length }}";
    let variables = json!({"messages": [
        {"role": "user", "content": " hi <there> "},
        {"role": "assistant", "content": "yes no",
         "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, "\u{fc}<"]}}}]},
    ]});
    assert_eq!(
        rendered(source, variables).unwrap(),
        "USER: hi <there>\nASSISTANT: yes no\n\
         {\"name\": \"f\", \"arguments\": {\"a\": [1, \"\u{fc}<\"]}}yes2"
    );
}

#[test]
fn a_refusal_of_the_template_is_told_in_its_own_words() {
    let source = "{{ raise_exception('Only user and assistant roles are supported!') }}";
    assert_eq!(
        rendered(source, json!({})).unwrap_err(),
        "Only user and assistant roles are supported!"
    );
}

#[test]
fn a_template_without_an_end_is_ended() {
    let source = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(rendered(source, json!({})).is_err());
}

#[test]
fn days_are_told_as_in_c() {
    let at = |seconds| strftime("%Y-%m-%d %a %A %d %b %B %e %H:%M:%S %y %% %q%", seconds);
    assert_eq!(
        at(951_827_696),
        "2000-02-29 Tue Tuesday 29 Feb February 29 12:34:56 00 % %q%"
    );
    assert!(at(0).starts_with("1970-01-01 Thu"));
    assert!(at(1_798_761_599).starts_with("2026-12-31 Thu"));
}
