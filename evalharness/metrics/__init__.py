"""Metrics in the one shape: additive statistics a sample, a pure function of their totals.

A scorer uses a metric so: `metric.for_task(labels)`, `sample_stats` for the rows, `interval.summarize` for the figure
with its interval and `interval.sample_values` for the figure of each sample.
"""

from __future__ import annotations

__all__ = ["BUILTIN"]

BUILTIN: dict[str, str] = {
    "exact_match": "evalharness.metrics.match:ExactMatch",
    "token_f1": "evalharness.metrics.match:TokenF1",
    "contains": "evalharness.metrics.match:Contains",
    "regex": "evalharness.metrics.match:Regex",
    "accuracy": "evalharness.metrics.classification:Accuracy",
    "precision_binary": "evalharness.metrics.averages:PrecisionBinary",
    "precision_micro": "evalharness.metrics.averages:PrecisionMicro",
    "precision_macro": "evalharness.metrics.averages:PrecisionMacro",
    "precision_weighted": "evalharness.metrics.averages:PrecisionWeighted",
    "recall_binary": "evalharness.metrics.averages:RecallBinary",
    "recall_micro": "evalharness.metrics.averages:RecallMicro",
    "recall_macro": "evalharness.metrics.averages:RecallMacro",
    "recall_weighted": "evalharness.metrics.averages:RecallWeighted",
    "f1_binary": "evalharness.metrics.averages:F1Binary",
    "f1_micro": "evalharness.metrics.averages:F1Micro",
    "f1_macro": "evalharness.metrics.averages:F1Macro",
    "f1_weighted": "evalharness.metrics.averages:F1Weighted",
    "mcc": "evalharness.metrics.classification:Mcc",
    "confusion_matrix": "evalharness.metrics.classification:ConfusionMatrix",
    "bleu": "evalharness.metrics.bleu:Bleu",
    "nltk_bleu": "evalharness.metrics.nltk_bleu:NltkBleu",
    "chrf": "evalharness.metrics.chrf:Chrf",
    "rouge1": "evalharness.metrics.rouge:Rouge1",
    "rouge2": "evalharness.metrics.rouge:Rouge2",
    "rougeL": "evalharness.metrics.rouge:RougeL",
    "rougeLsum": "evalharness.metrics.rouge:RougeLsum",
    "word_perplexity": "evalharness.metrics.likelihood:WordPerplexity",
    "byte_perplexity": "evalharness.metrics.likelihood:BytePerplexity",
    "bits_per_byte": "evalharness.metrics.likelihood:BitsPerByte",
    "latency_mean_s": "evalharness.metrics.operations:LatencyMean",
    "latency_p50_s": "evalharness.metrics.operations:LatencyP50",
    "latency_p95_s": "evalharness.metrics.operations:LatencyP95",
    "ttft_p50_s": "evalharness.metrics.operations:TtftP50",
    "ttft_p95_s": "evalharness.metrics.operations:TtftP95",
    "input_tokens": "evalharness.metrics.operations:InputTokens",
    "output_tokens": "evalharness.metrics.operations:OutputTokens",
    "output_chars": "evalharness.metrics.operations:OutputChars",
    "cost_usd": "evalharness.metrics.operations:CostMean",
    "cost_total_usd": "evalharness.metrics.operations:CostTotal",
    "error_rate": "evalharness.metrics.states:ErrorRate",
    "refusal_rate": "evalharness.metrics.states:RefusalRate",
    "truncated_rate": "evalharness.metrics.states:TruncatedRate",
    "unparsed_rate": "evalharness.metrics.states:UnparsedRate",
    "llm_judge": "evalharness.metrics.judge:LlmJudge",
    "evaluate": "evalharness.integrations.hf_evaluate.hf_metric:EvaluateMetric",
}
