//! What a template may and may not do.

use super::*;

fn template(text: &str) -> ChatTemplate {
    ChatTemplate::new(origin(text)).unwrap()
}

fn origin(text: &str) -> TemplateText {
    TemplateText {
        text: text.to_string(),
        source: "test".to_string(),
        bos_token: Some("<s>".to_string()),
        eos_token: None,
        other_tokens: vec![("pad_token".to_string(), "<pad>".to_string())],
    }
}

fn message<'a>(role: &'a str, content: &'a str) -> Message<'a> {
    Message { role, content }
}

#[test]
fn variables_and_whitespace_are_the_reference_s() {
    let template = template(
        "{{ bos_token }}\n{% for m in messages %}\n  {% if m.role == 'user' %}\n[{{ m['content'].strip() }}]\n  {% endif %}\n{% endfor %}\n{% if eos_token is defined %}no{% endif %}{{ pad_token }}{{ tools }}{{ true }}{{ [1, 'a'] }}{{ missing }}",
    );
    let text = template.render(&[message("user", " hi ")], true).unwrap().text;
    assert_eq!(text, "<s>\n[hi]\n<pad>NoneTrue[1, 'a']");
}

#[test]
fn a_refused_system_message_is_folded_and_said() {
    let template = template(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}",
    );
    let messages =
        [message("system", "Be brief"), message("user", "hi"), message("assistant", "yo")];
    let rendered = template.render(&messages, false).unwrap();
    assert_eq!(rendered.text, "<user>Be brief\n\nhi<assistant>yo");
    assert!(rendered.system_folded);
    assert!(!template.render(&messages[1..], false).unwrap().system_folded);
}

#[test]
fn what_a_template_raises_is_one_line_with_its_line() {
    let template = template("a\nb\n{{ raise_exception('roles\nmust alternate') }}");
    let error = template.render(&[message("user", "x")], true).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("roles must alternate"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    let error = ChatTemplate::new(origin("ok\n{% if %}")).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_message_is_continued_at_its_last_character() {
    let template =
        template("{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}</end>{% endfor %}");
    let messages = [message("user", "hi"), message("assistant", "Once upon ")];
    let text = template.render_continuing(&messages).unwrap().text;
    assert_eq!(text, "<user>hi</end><assistant>Once upon");
}

#[test]
fn generation_markers_change_nothing() {
    let marked = template(
        "{% for m in messages %}\n{% generation %}\n{{ m.content }}\n{% endgeneration %}\n{% endfor %}",
    );
    assert_eq!(marked.render(&[message("user", "hi")], true).unwrap().text, "hi\n");
}

#[test]
fn endless_and_growing_templates_end() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% set x = 1 %}{% endfor %}{% endfor %}{% endfor %}";
    let printing = "{% for a in range(9999) %}{% for b in range(9999) %}{{ messages[0].content }}{% endfor %}{% endfor %}";
    let macros = "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}";
    let captured = "{% macro d(x) %}{{ x }}{{ x }}{% endmacro %}{{ d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(d(messages[0].content)))))))))))))))))))))))) }}";
    let doubling = "{% set ns = namespace(x='grow') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    let adding = "{% set ns = namespace(x='grow') %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}";
    let argument = "{% macro m(x, n) %}{% if n %}{{ m(x ~ x, n - 1) }}{% endif %}{% endmacro %}{{ m('grow', 60) }}";
    let nested = "{% set ns = namespace(x=['grow']) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x ~ '' }}";
    let repeated = "{% set a = 'x' * 99999999 %}{{ a | length }}";
    let joined = "{% set l = [messages[0].content] * 9999 %}{{ l | join | length }}";
    let replaced = "{% set x = messages[0].content.replace('w', messages[0].content).replace('w', messages[0].content) %}{{ x | length }}";
    let raw = "{% set x %}{% for a in range(9999) %}{% for b in range(90) %}these words are written again and again and again{% endfor %}{% endfor %}{% endset %}";
    let padded = "{{ '%99999999d' | format(1) | length }}";
    let long = "words ".repeat(2000);
    let grown = [doubling, adding, argument, nested, repeated, joined, replaced, raw, padded];
    for text in [endless, printing, macros, captured].into_iter().chain(grown) {
        let error = template(text).render(&[message("user", &long)], true).unwrap_err();
        assert!(error.to_string().starts_with("the chat template"), "{error}");
    }
}

#[test]
fn json_is_python_s() {
    let template = template(
        "{{ {'a': [1, 2.5, none, true], 'b': '<é\"\\n>'} | tojson }}|{{ {'b': [], 'a': {'c': 1}} | tojson(indent=2) }}|{{ 'é😀' | tojson(ensure_ascii=true) }}",
    );
    let text = template.render(&[], false).unwrap().text;
    assert_eq!(
        text,
        "{\"a\": [1, 2.5, null, true], \"b\": \"<é\\\"\\n>\"}|{\n  \"b\": [],\n  \"a\": {\n    \"c\": 1\n  }\n}|\"\\u00e9\\ud83d\\ude00\""
    );
}
