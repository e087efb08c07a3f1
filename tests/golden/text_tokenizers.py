#!/usr/bin/env python3
"""Makes small tokenizers of both kinds, as tokenizer.json and inside GGUF files, and what the
reference implementations encode and decode with them.

    pip install -r tests/golden/requirements.txt
    python3 tests/golden/text_tokenizers.py

Writes into text_tokenizers/ beside this file:
    bpe.json                byte-level BPE, the pattern of GPT-2
    spm.json, spm-bare.json SentencePiece BPE in its fast form, with and without the space prefix
    NAME.gguf               the same vocabularies, one file per kind of word pattern
    expected.json           per file: texts, ids, decoded texts, whether special tokens were read
Made with tokenizers 0.23.3, sentencepiece 0.2.3, transformers 5.23.0 and gguf 0.19.0.
"""

import io
import json
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent / "text_tokenizers"

CORPUS = """The old boat went down the river, and the people of the town stood at the water and sang.
"Who steers?" asked the child. "I'll steer," she said; "you've rowed all day, haven't you?"
They'd counted 12 bridges, 345 trees, 6,789 stones and 10000000 drops before noon on 2026-05-01.
Der Fluss fließt langsam; über den Wiesen hängt Nebel, und die Möwen schreien schön.
Le fleuve coule très lentement, l'été s'achève à peine, où êtes-vous allés, garçon ?
El río corre despacio; mañana cruzará la montaña el niño, ¿verdad? ¡Claro que sí!
Река течёт медленно, и люди на берегу поют старую песню о лодке и ветре.
Ο ποταμός κυλά αργά και οι άνθρωποι τραγουδούν δίπλα στο νερό.
川はゆっくり流れ、人々は岸辺で古い歌を歌っています。船は町へ向かう。
河水慢慢地流，人们站在岸边唱着一首老歌。船驶向城里，风很大。
강물은 천천히 흐르고 사람들은 강가에서 옛 노래를 부릅니다.
النهر يجري ببطء والناس يغنون أغنية قديمة عند الماء.
नदी धीरे बहती है और लोग किनारे पर पुराना गीत गाते हैं।
แม่น้ำไหลช้าๆ และผู้คนร้องเพลงเก่าริมน้ำ
def steer(boat, angle=0.5):\n    if boat is None:\n        return None\n    return boat.turn(angle)
HTTPServer parseXML iPhone camelCase SCREAMING_CASE x1y2z3 a+b==c // comment\t<tag attr="v"/>
🚣 the rower 🌊 the wave 👩‍👩‍👧 the family 🇩🇪 the flag 👍🏽 fine
"""

TEXTS = [
    "", "a", " ", "  ", " a", "The river", "  two spaces  inside   and end  ", "\n", "line\n\nnext\r\n\ttab\n",
    "I'll say they've DON'T we'Re", "12 345 6789 10000000 3.14", "HTTPServer parseXML iPhone camelCase",
    "über schön fließt", "cafe\u0301 café", "Река течёт", "川はゆっくり流れ", "河水慢慢地流", "강물은 천천히",
    "النهر يجري ببطء", "नदी धीरे", "แม่น้ำ", "🚣🌊 👩‍👩‍👧 🇩🇪👍🏽", "\u200b\ufeffx\u00a0y", "𝔘𝔫𝔦 \U0001f9ff",
    "def f(x):\n    return x  # ok", "▁mark ▁▁", "<0x41> </s> <s>", "tail space ", "e\u0301\u0323 o\u0308",
    "<|im_start|>user\nhi<|im_end|>\n", "a<tool>b</tool>c", "@#$%^&*()_+-=[]{}|;':\",./<>?`~",
]

# The word patterns, as published in the fast tokenizers of these families.
CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + "+%s|" + r"[^\r\n\p{L}\p{N}]?" + UPPER + "+" + LOWER
         + r"*%s|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERNS = {
    "gpt-2": None,
    "smollm": "digits",
    "llama-bpe": CL100K % "{1,3}",
    "qwen2": CL100K % "",
    "gpt-4o": O200K % (ENDINGS, ENDINGS, "{1,3}"),
    "tekken": O200K % ("", "", ""),
}
WHOLE_WORDS = ("llama-bpe", "tekken")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def split_by(pre):
    pattern = PATTERNS[pre]
    if pattern is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pattern == "digits":
        return pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def writer(name, model, tokens, types):
    """A GGUF file with the smallest weights that make it a model."""
    out = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
    out.add_context_length(64)
    out.add_embedding_length(2)
    out.add_block_count(1)
    out.add_feed_forward_length(2)
    out.add_head_count(1)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_tokenizer_model(model)
    out.add_token_list(tokens)
    out.add_token_types(types)
    out.add_tensor("token_embd.weight", np.zeros((len(tokens), 2), dtype=np.float16))
    return out


def close(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def observe(tokenizer, encode=None):
    """What the reference makes of every text; `encode` where another library is the reference."""
    seen = []
    for text in TEXTS:
        for special in (True, False):
            tokenizer.encode_special_tokens = not special
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            if encode is not None and not special and "<0x" not in text and "<tool>" not in text:
                theirs = encode(text)
                if ids != theirs:
                    print(f"the fast form differs from sentencepiece on {text!r}: {ids} {theirs}")
                    continue
            seen.append(dict(text=text, special=special, ids=ids,
                             decoded=tokenizer.decode(ids, skip_special_tokens=True)))
    return seen


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=640, special_tokens=[SPECIAL[0]], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([CORPUS] * 2, trainer)
    tokenizer.add_special_tokens(SPECIAL[1:])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("</tool>", normalized=False)])
    tokenizer.save(str(HERE / "bpe.json"), pretty=False)
    expected = {"bpe.json": observe(tokenizer)}
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(vocabulary, key=vocabulary.get)
    model = json.loads(tokenizer.to_str())["model"]
    types = [3 if t in SPECIAL else 4 if "tool>" in t else 1 for t in tokens]
    for pre in PATTERNS:
        tokenizer = Tokenizer.from_file(str(HERE / "bpe.json"))
        tokenizer.pre_tokenizer = split_by(pre)
        tokenizer.model.ignore_merges = pre in WHOLE_WORDS
        if pre == "qwen2":
            tokenizer.normalizer = normalizers.NFC()
        expected[f"bpe-{pre}.gguf"] = observe(tokenizer)
        out = writer(f"bpe-{pre}", "gpt2", tokens, types)
        out.add_tokenizer_pre(pre)
        out.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in model["merges"]])
        out.add_eos_token_id(vocabulary["<|endoftext|>"])
        out.add_eot_token_id(vocabulary["<|im_end|>"])
        out.add_add_bos_token(False)
        out.add_chat_template("{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}")
        out.add_sampling_temp(0.7)
        out.add_sampling_top_k(20)
        close(out)
    return expected


def sentence_piece(name, space_prefix):
    stored = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.split("\n") * 3), model_writer=stored, model_type="bpe",
        vocab_size=720, character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=space_prefix, split_digits=True,
        allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2,
        control_symbols=["<|im_start|>", "<|im_end|>"], user_defined_symbols=["<tool>", "</tool>"])
    piece = sentencepiece.SentencePieceProcessor(model_proto=stored.getvalue())
    size = piece.get_piece_size()
    tokens = [piece.id_to_piece(i) for i in range(size)]
    scores = [piece.get_score(i) for i in range(size)]
    kinds = [6 if piece.is_byte(i) else 2 if piece.is_unknown(i) else 3 if piece.is_control(i)
             else 4 if tokens[i] in ("<tool>", "</tool>") else 1 for i in range(size)]

    # The reference's conversion: every way to build a piece from two others is a merge.
    ids = {token: i for i, token in enumerate(tokens)}
    merges = []
    for token, score in zip(tokens, scores):
        ways = [(token[:i], token[i:], score) for i in range(1, len(token))
                if token[:i] in ids and token[i:] in ids]
        merges.extend(sorted(ways, key=lambda way: (ids[way[0]], ids[way[1]])))
    merges.sort(key=lambda way: (way[2], len(way[0]), len(way[1])), reverse=True)
    fast = Tokenizer(models.BPE(ids, [way[:2] for way in merges], unk_token="<unk>", fuse_unk=True,
                                byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    fast.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace] if space_prefix else [replace])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    fast.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] if space_prefix else steps)
    fast.add_special_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, kinds) if k in (2, 3)])
    fast.add_tokens([AddedToken(t, normalized=False) for t, k in zip(tokens, kinds) if k == 4])
    fast.save(str(HERE / f"{name}.json"), pretty=False)
    seen = observe(fast, piece.encode)

    out = writer(name, "llama", tokens, kinds)
    out.add_tokenizer_pre("default")
    out.add_token_scores(scores)
    out.add_bos_token_id(piece.bos_id())
    out.add_eos_token_id(piece.eos_id())
    out.add_unk_token_id(piece.unk_id())
    out.add_add_bos_token(True)
    out.add_add_space_prefix(space_prefix)
    close(out)
    return {f"{name}.json": seen, f"{name}.gguf": seen}


def main():
    HERE.mkdir(exist_ok=True)
    expected = byte_level() | sentence_piece("spm", True) | sentence_piece("spm-bare", False)
    path = HERE / "expected.json"
    path.write_text(json.dumps(expected, ensure_ascii=False, separators=(",", ":")) + "\n")
    print({name: len(seen) for name, seen in expected.items()})


main()
