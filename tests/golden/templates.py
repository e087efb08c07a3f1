#!/usr/bin/env python3
"""Renders chat templates of the shapes in common use with the reference implementation.

    pip install -r tests/golden/requirements.txt
    python3 tests/golden/templates.py

Writes templates.json beside this file: per case the template, the named tokens, the messages and
what `apply_chat_template` made of them, or the message it raised. The templates are written for
this test, in the manner of the families they are named after. Made with transformers 5.23.0.
"""

import datetime
import json
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent

TEMPLATES = {
    "chatml": """{% for turn in messages %}
{{ '<|im_start|>' + turn['role'] + '\\n' + turn['content'] + '<|im_end|>' + '\\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{% endif %}
""",
    "chatml-default-system": """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' ~ messages[0].content ~ '<|im_end|>\\n' }}
    {%- set turns = messages[1:] %}
{%- else %}
    {{- '<|im_start|>system\\nYou are a steady hand.<|im_end|>\\n' }}
    {%- set turns = messages %}
{%- endif %}
{%- for turn in turns %}
    {%- set text = turn.content %}
    {%- if turn.role == 'assistant' and '</think>' in text %}
        {%- set text = text.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>%s\\n' | format(turn.role) ~ text ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "header": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "1 May 2026" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Tools: " + tools | tojson(indent=4) + "\\n" }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if message.role == 'tool' or 'tool_calls' in message %}
        {{- raise_exception("no tools here") }}
    {%- endif %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}""",
    "inst": """{%- if messages[0]["role"] == "system" -%}
    {%- set system_message = messages[0]["content"] -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{{ bos_token }}
{%- for message in loop_messages -%}
    {%- if (message["role"] == "user") != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("user and assistant must take turns") }}
    {%- endif -%}
    {%- if message["role"] == "user" -%}
        {%- if loop.last and system_message is defined -%}
            {{ "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else -%}
            {{ "[INST] " + message["content"] + "[/INST]" }}
        {%- endif -%}
    {%- elif message["role"] == "assistant" -%}
        {{ " " + message["content"] | trim + eos_token }}
    {%- endif -%}
{%- endfor -%}""",
    "inst-system-block": """{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = '<<SYS>>\\n' + messages[0]['content'].strip() + '\\n<</SYS>>\\n\\n' %}{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}{% for m in rest %}{% if loop.index0 == 0 %}{% set body = system + m['content'] %}{% else %}{% set body = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + body.strip() + ' [/INST]' }}{% elif m['role'] == 'assistant' %}{{ ' ' + body.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "turns": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set others = messages[1:] -%}
{%- else -%}
    {%- set prefix = "" -%}
    {%- set others = messages -%}
{%- endif -%}
{%- for message in others -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {{ item['text'] | trim if item['type'] == 'text' else '' }}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
""",
    "turns-no-system": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}""",
    "phi": """{% for message in messages %}
{% if message['role'] == 'system' and message['content'] %}
{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}
{% elif message['role'] == 'user' %}
{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}
{% elif message['role'] == 'assistant' %}
{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|assistant|>\\n' }}
{% else %}
{{ eos_token }}
{% endif %}""",
    "plain-names": """{% set ns = namespace(seen=0, last='') %}
{% for message in messages recursive %}
  {% set ns.seen = ns.seen + 1 %}
  {% set ns.last = message.role %}
{{ loop.index }}/{{ loop.length }} {{ message.role.upper().title() }}: {{ message['content'].strip().replace('\\n', ' / ') }}
  {% if loop.index >= 5 %}{% break %}{% endif %}
{% endfor %}
{{ ns.seen }} {{ ns.last | capitalize }} {{ messages | map(attribute='role') | unique | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{{ messages | length % 2 == 0 }} {{ none }} {{ [1, 'two', none, true, 2.5] }} {{ {'a': 'it\\'s'} }}
{% if add_generation_prompt %}Assistant:{% endif %}""",
    "generation-blocks": """{% for m in messages %}
{% if m.role == 'assistant' %}
<a>{% generation %}{{ m.content }}{% endgeneration %}</a>
{% else %}
<{{ m.role[0] }}>{{ m.content | e }}</{{ m.role[:1] }}>
{% endif %}
{% endfor %}
{%- if add_generation_prompt %}<a>{% endif %}""",
    "macros": """{%- macro turn(role, text, closed=true) -%}
<|{{ role }}|>
{{ text }}{% if closed %}{{ eos_token }}{% endif +%}
{% endmacro -%}
{%- for message in messages -%}
{{ turn(message.role, message.content | trim) }}
{%- if not loop.last %}{{ '---\\n' }}{% endif %}
{%- endfor -%}
{%- if add_generation_prompt %}{{ turn('assistant', '', closed=false) }}{% endif -%}""",
    "json": """{% for m in messages %}{{ m | tojson }}
{{ m['content'] | tojson(ensure_ascii=True) }}
{{ {'z': [1, [], {}], 'a': m.role} | tojson(indent=2, sort_keys=True) }}
{{ m.items() | list }}
{% for key, value in m.items() %}{{ key }}={{ value | length }};{% endfor %}

{% endfor %}{{ messages[0].get('name', 'nobody') }}{{ messages[-1]['role'].startswith('a') }}{{ messages[::-1][0].role }}""",
}

CONVERSATIONS = {
    "one": [("user", "Where does the river begin?")],
    "three": [("user", "  Hello there  "), ("assistant", " Good day.\n"), ("user", "Name a <bird> & \"say\" 'why'")],
    "system": [("system", "Be brief.\n"), ("user", "Explain rain."), ("assistant", "Water falls."), ("user", "And snow?")],
    "system-only-turn": [("system", " Speak like a sailor "), ("user", "Ahoy!")],
    "languages": [("system", "日本語で答えて"), ("user", "مرحبا 👩‍👩‍👧 café"), ("assistant", "<think>\nhm\n</think>\n\nनमस्ते"), ("user", "x\ty\\n")],
    "out-of-turn": [("user", "one"), ("user", "two")],
    "ends-with-assistant": [("user", "Count to three"), ("assistant", "One, two, three.")],
}

TOKENS = {
    "header": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "inst": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "inst-system-block": {"bos_token": "<s>", "eos_token": "</s>"},
    "turns": {"bos_token": "<bos>", "eos_token": "<eos>"},
    "turns-no-system": {"bos_token": "<bos>", "eos_token": "<eos>"},
    "phi": {"bos_token": "<s>", "eos_token": "<|endoftext|>"},
    "macros": {"eos_token": "</s>"},
}


def main():
    today = datetime.datetime.now().strftime("%d %b %Y")
    cases = []
    for name, template in TEMPLATES.items():
        tokens = TOKENS.get(name, {})
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **tokens)
        # A list of named templates, as in a file: the reference takes `default`.
        listed = name in ("chatml", "macros")
        tokenizer.chat_template = {"default": template, "tool_use": "other"} if listed else template
        for title, messages in CONVERSATIONS.items():
            for prompt in (True, False):
                case = dict(name=f"{name}/{title}/{'prompt' if prompt else 'closed'}",
                            template=name, messages=messages, add_generation_prompt=prompt)
                turns = [dict(role=role, content=content) for role, content in messages]
                try:
                    text = tokenizer.apply_chat_template(
                        turns, tokenize=False, add_generation_prompt=prompt)
                    case["expected"] = text.replace(today, "@TODAY@")
                except Exception as error:
                    case["raises"] = str(error)
                cases.append(case)
    out = dict(
        templates={name: dict(text=text, tokens=TOKENS.get(name, {}),
                              listed=name in ("chatml", "macros"))
                   for name, text in TEMPLATES.items()},
        cases=cases)
    path = HERE / "templates.json"
    path.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
    raised = sum("raises" in case for case in cases)
    print(f"{len(cases)} cases, {raised} of them raise")


main()
