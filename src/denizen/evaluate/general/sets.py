"""The 19 public sets of the forgetting check: where each lies, how it is asked and scored.

Contract: data only; nothing is shipped, nothing is trained on, and every set is asked without
examples.  The local files' names are those of the folder a user keeps (one JSON record a line);
hub sources are what lm-eval 0.4.13 reads, but for BoolQ, AQuA and SVAMP, which are read where they
are published.  Licences are those the sets' own pages state: read them before use, and note that
LogiQA's forbids commercial use.
"""

from __future__ import annotations

from collections.abc import Sequence

from denizen.evaluate.general import forms
from denizen.evaluate.general.items import Form, GeneralSet, HubSource, Kind, Metric
from denizen.project.errors import DataError

BBH_TASKS = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)


def _scored(
    name: str,
    title: str,
    hub: HubSource,
    from_hub: Form,
    licence: str,
    *,
    kind: Kind = "choice",
    local: Form | None = None,
    metric: Metric = "acc",
) -> GeneralSet:
    """A set that log-likelihoods answer.  Options of unlike lengths are compared by the byte."""
    read = local or forms.choice()
    return GeneralSet(name, title, kind, f"{name}.jsonl", hub, read, from_hub, licence, metric)


_QUESTION = ("\nQuestion:", "\nQ:", "<|im_end|>")

_ALL = (
    _scored(
        "arc_easy",
        "Grade-school science, the easy part",
        HubSource("allenai/ai2_arc", "test", ("ARC-Easy",)),
        forms.hub_listed("question"),
        "CC-BY-SA-4.0",
        metric="acc_bytes",
    ),
    _scored(
        "arc_challenge",
        "Grade-school science, the hard part",
        HubSource("allenai/ai2_arc", "test", ("ARC-Challenge",)),
        forms.hub_listed("question"),
        "CC-BY-SA-4.0",
        metric="acc_bytes",
    ),
    _scored(
        "boolq",
        "Yes or no, from a passage",
        HubSource("google/boolq", "validation"),
        forms.hub_boolq,
        "CC-BY-SA-3.0",
    ),
    _scored(
        "commonsense_qa",
        "Common sense",
        HubSource("tau/commonsense_qa", "validation"),
        forms.hub_commonsense,
        "MIT",
    ),
    _scored(
        "openbook_qa",
        "Elementary science facts",
        HubSource("allenai/openbookqa", "test", ("main",)),
        forms.hub_listed("question_stem", start="", ask=False),
        "Apache-2.0",
        local=forms.choice(ask=False),
        metric="acc_bytes",
    ),
    _scored(
        "piqa",
        "Everyday physics",
        HubSource("baber/piqa", "validation"),
        forms.hub_piqa,
        "AFL-3.0",
        metric="acc_bytes",
    ),
    _scored(
        "siqa",
        "Social situations",
        HubSource("lighteval/siqa", "validation"),
        forms.hub_siqa,
        "CC-BY-4.0",
    ),
    _scored(
        "winogrande",
        "Whom a pronoun means",
        HubSource("allenai/winogrande", "validation", ("winogrande_xl",)),
        forms.hub_winogrande,
        "Apache-2.0",
        kind="schema",
        local=forms.schema,
    ),
    _scored(
        "lambada_openai",
        "The last word of a passage",
        HubSource("EleutherAI/lambada_openai", "test", ("default",)),
        forms.hub_lambada,
        "MIT",
        kind="cloze",
        local=forms.cloze,
    ),
    _scored(
        "logi_qa",
        "Logical reading",
        HubSource("EleutherAI/logiqa", "test", ("logiqa",)),
        forms.hub_logiqa,
        "CC-BY-NC-SA-4.0",
    ),
    _scored(
        "agi_eval_lsat_lr",
        "Law-school logical reasoning",
        HubSource("hails/agieval-lsat-lr", "test"),
        forms.hub_agieval,
        "MIT",
    ),
    GeneralSet(
        "agi_eval_sat_math",
        "School-leaving mathematics",
        "value",
        "agi_eval_sat_math.jsonl",
        HubSource("hails/agieval-sat-math", "test"),
        forms.value("context"),
        forms.hub_agieval_value,
        "MIT",
        max_tokens=256,
        stop=_QUESTION,
    ),
    GeneralSet(
        "aqua",
        "Algebra word problems",
        "value",
        "aqua.jsonl",
        HubSource("deepmind/aqua_rat", "test", ("raw",)),
        forms.value("context"),
        forms.hub_aqua,
        "Apache-2.0",
        max_tokens=256,
        stop=_QUESTION,
    ),
    GeneralSet(
        "gsm8k",
        "Grade-school arithmetic",
        "value",
        "gsm8k_test.jsonl",
        HubSource("openai/gsm8k", "test", ("main",)),
        forms.worked,
        forms.worked,
        "MIT",
        max_tokens=256,
        stop=_QUESTION,
    ),
    GeneralSet(
        "svamp",
        "Arithmetic with varied wording",
        "value",
        "svamp.jsonl",
        HubSource("ChilleD/SVAMP", "test"),
        forms.value("context"),
        forms.hub_svamp,
        "MIT",
        max_tokens=128,
        stop=_QUESTION,
    ),
    GeneralSet(
        "triviaqa",
        "Trivia from memory",
        "alias",
        "triviaqa_sm_sub.jsonl",
        HubSource("mandarjoshi/trivia_qa", "validation", ("rc.nocontext",)),
        forms.aliased,
        forms.hub_trivia,
        "Apache-2.0",
        max_tokens=24,
        stop=("\n", "<|im_end|>"),
    ),
    GeneralSet(
        "bbh",
        "Hard reasoning tasks of 27 kinds",
        "target",
        "bbh_12x27.jsonl",
        HubSource("SaylorTwift/bbh", "test", BBH_TASKS),
        forms.target,
        forms.hub_bbh,
        "MIT",
        max_tokens=192,
        stop=("\nQ:", "<|im_end|>"),
    ),
    GeneralSet(
        "ifeval",
        "Instructions that can be checked",
        "constraints",
        "ifeval_541.jsonl",
        HubSource("google/IFEval", "train"),
        forms.constraints,
        forms.constraints,
        "Apache-2.0",
        max_tokens=512,
        stop=("<|im_end|>",),
        conversational=True,
    ),
    GeneralSet(
        "human_eval",
        "Small programs",
        "code",
        "human_eval.jsonl",
        HubSource("openai/openai_humaneval", "test"),
        forms.code,
        forms.code,
        "MIT",
        max_tokens=320,
        stop=("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(", "\n```", "<|im_end|>"),
    ),
)

SETS: dict[str, GeneralSet] = {one.name: one for one in _ALL}


def chosen_sets(
    names: Sequence[str] | None = None, *, run_code: bool = False
) -> tuple[GeneralSet, ...]:
    """The named sets, or all; sets whose answers are programs only with `run_code`.

    Raises DataError for an unknown name, and for a program set named without `run_code`: running
    what a model wrote is for whoever asks for it.
    """
    if names is None:
        return tuple(one for one in _ALL if run_code or one.kind != "code")
    if unknown := [name for name in names if name not in SETS]:
        raise DataError(
            f"no public set {unknown[0]!r}", where="general sets", fix=f"known: {', '.join(SETS)}"
        )
    if not names:
        raise DataError("no public set was named", where="general sets", fix="name one or more")
    chosen = tuple(SETS[name] for name in dict.fromkeys(names))
    for one in chosen:
        if one.kind == "code" and not run_code:
            raise DataError(
                f"{one.name} runs programs that the model wrote",
                where="general sets",
                fix="allow it explicitly (run_code), or leave the set out",
            )
    return chosen
