"""Makes tests/fixtures/chat/: a tiny chat model with a tokenizer of its own, chat templates in the style of several
families, and what transformers makes of some chats. Needs: pip install torch transformers

    python tools/make_chat_fixture.py
"""

import json
import pathlib
import shutil

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "chat"
SPECIALS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|head|>", "<|/head|>", "<|eot|>"]

# One in each style: what differs is how turns are marked, what comes first, and what is refused.
TEMPLATES = {
    "marked": """{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
""",
    "headed": """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|head|>system<|/head|>\n\nToday: " + date_string | default("26 Jul 2024") + "\n\n" + system_message + "<|eot|>" }}
{%- for message in messages %}
    {{- "<|head|>" + message['role'] + "<|/head|>\n\n" + message['content'].strip() + "<|eot|>" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|head|>assistant<|/head|>\n\n" }}
{%- endif %}
""",
    "alternating": """{{ bos_token }}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {{ raise_exception('System role not supported') }}
    {%- endif -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif -%}
    {%- if message['role'] == 'user' -%}
        {{ ' [INST] ' + message['content'] + ' [/INST]' }}
    {%- else -%}
        {{ ' ' + message['content'] | trim + eos_token }}
    {%- endif -%}
{%- endfor -%}
""",
    "thinking": """{%- set ns = namespace(last=-1) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set content = message.content %}
        {%- if '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last %}{{- '<think>\n\n</think>\n\n' }}{% endif %}
        {{- content + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
""",
}

CHATS = [
    [("user", "How do I boil an egg?"), ("assistant", "Seven minutes in boiling water.")],
    [
        ("system", "You are a cook."),
        ("user", "Hello"),
        ("assistant", "  Hello, what shall we cook?  "),
        ("user", "Soup, s'il vous plaît 🦀"),
        ("assistant", "Gladly.\nFirst, water."),
    ],
    [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "b"), ("user", "b"), ("assistant", "b b")],
]


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [text for chat in CHATS for _, text in chat] + ["assistant user system Today boiling water cook soup"] * 3
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<|im_end|>")
    fast.chat_template = TEMPLATES["marked"]
    fast.save_pretrained(OUT / "model", save_jinja_files=False)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=fast.convert_tokens_to_ids("<|im_end|>"),
        tie_word_embeddings=True,
    )
    AutoModelForCausalLM.from_config(config).half().save_pretrained(OUT / "model")
    expected = []
    for name, template in TEMPLATES.items():
        eos = "</s>" if name == "alternating" else "<|eot|>" if name == "headed" else "<|im_end|>"
        fast.eos_token = eos
        for chat in CHATS:
            messages = [dict(role=role, content=content) for role, content in chat]
            try:
                text = fast.apply_chat_template(messages, chat_template=template, tokenize=False)
                prompt = fast.apply_chat_template(
                    messages[:-1], chat_template=template, tokenize=False, add_generation_prompt=True
                )
            except Exception as error:
                expected.append(dict(template=name, eos=eos, messages=chat, error=str(error)))
                continue
            ids = fast(text, add_special_tokens=False)["input_ids"]
            expected.append(dict(template=name, eos=eos, messages=chat, text=text, prompt=prompt, ids=ids))
    document = dict(templates=TEMPLATES, expected=expected)
    (OUT / "expected.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    print(sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file()), "bytes;", len(expected), "chats")


if __name__ == "__main__":
    main()
