"""What a model reads: feature schema and feature contract.

What always holds: features are ordered and their names are unique; only a `category` has
categories and a rule for unseen values; a contract is a schema whose every category is pinned, and
its digest is that of its canonical JSON. Null, NaN and missing are one thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from typing_extensions import override

from mlreg.registry.domain.digests import digest_of_json
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.forms import (
    InvalidContractError,
    Json,
    check_rules,
    flag,
    mapping,
    text,
    texts,
)

Dtype = Literal["float", "int", "bool", "category"]
Unseen = Literal["missing", "error", "hash"]

FORMAT = 1
MAX_FEATURES = 10_000
MAX_CATEGORIES = 100_000
MAX_BUCKETS = 4_096
MAX_NAME_LENGTH = 200
RESERVED = frozenset(
    {
        *("prediction_id", "time", "version", "score", "entity", "label", "weight", "features"),
        *("propensity", "arm", "scores"),
        *("mlreg:batch", "mlreg:row", "mlreg:weight"),
    }
)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "float": (int, float),
    "int": (int,),
    "bool": (bool,),
    "category": (str,),
}
"""The dtypes, each with what a default of it is."""
_UNSEEN = frozenset(get_args(Unseen))
_NAME_LENGTH = f"a name has 1 to {MAX_NAME_LENGTH} letters"
_ONE_OF_DTYPES = f"dtype must be one of {', '.join(_KINDS)}"
_BUCKETS = f"unseen: hash goes with 1 to {MAX_BUCKETS} buckets"
_KEYS = frozenset({"name", "dtype", "categories", "default", "at_risk", "unseen", "buckets"})


class ContractMismatchError(InvalidError):
    """Two feature contracts that must be the same differ; the message names the first column."""

    code = "contract_mismatch"
    hint = "Train and register with the features of the model, in its order and with its dtypes."

    def __init__(self, *, column: str, problem: str) -> None:
        self.column = column
        super().__init__(f"column {column!r}: {problem}")


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column.

    Attributes:
        categories: the values in the order of their codes 0, 1, 2 …; None while not pinned.
        default: what a broken source delivers instead of a value; null stands for missing.
        at_risk: whether its source can fail, so that outages are looked for.
        unseen: what a category outside `categories` is: missing (and counted), an error, or (and
            counted too) one of `buckets` codes behind the known ones, by its hash.
        buckets: how many codes are reserved so; 0 unless `unseen` is hash.
    """

    name: str
    dtype: Dtype
    categories: tuple[str, ...] | None = None
    default: bool | float | str | None = None
    at_risk: bool = False
    unseen: Unseen = "missing"
    buckets: int = 0

    def __post_init__(self) -> None:
        rules = (
            (0 < len(self.name) <= MAX_NAME_LENGTH, _NAME_LENGTH),
            (self.name.isprintable(), "a name has printable letters only"),
            (
                self.name not in RESERVED,
                "logged rows have a column of that name; call it otherwise",
            ),
            (self.dtype in _KINDS, _ONE_OF_DTYPES),
            (self.unseen in _UNSEEN, "unseen must be missing, error or hash"),
            (_fits_buckets(self), _BUCKETS),
            (self.categories is None or self.dtype == "category", "only a category has categories"),
            (_distinct(self.categories), "categories must be distinct, and not none"),
            (_fits(self.default, self.dtype), f"default {self.default!r} is not a {self.dtype}"),
        )
        check_rules(f"feature {self.name!r}", rules)

    @property
    def is_pinned(self) -> bool:
        """Whether its codes are fixed: anything but a category, or a category with its list."""
        return self.dtype != "category" or self.categories is not None

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form; equal features have equal forms."""
        form: dict[str, Json] = {"name": self.name, "dtype": self.dtype, "at_risk": self.at_risk}
        form["default"] = self.default
        if self.dtype == "category":
            form["unseen"] = self.unseen
            if self.buckets:  # older contracts keep their digests
                form["buckets"] = self.buckets
            form["categories"] = None if self.categories is None else list(self.categories)
        return form

    @classmethod
    def from_json(cls, form: object) -> Feature:
        """Read the JSON form.

        Raises:
            InvalidContractError: it is not a feature; the message names it.
        """
        fields = mapping(form, where="feature", keys=_KEYS)
        name = fields.get("name")
        if not isinstance(name, str):
            raise InvalidContractError(where="feature", problem="it has no name")
        where = f"feature {name!r}"
        categories = fields.get("categories")
        return cls(
            name=name,
            dtype=cast("Dtype", text(fields.get("dtype"), where=where, key="dtype")),
            categories=None if categories is None else texts(categories, where=where),
            default=cast("bool | float | str | None", fields.get("default")),
            at_risk=flag(fields.get("at_risk", False), where=where),
            unseen=cast("Unseen", text(fields.get("unseen", "missing"), where=where, key="unseen")),
            buckets=cast("int", fields.get("buckets", 0)),
        )

    def code_of(self, category: str) -> float:
        """Return the code of one of the known categories, NaN for another."""
        known = self.categories or ()
        return float(known.index(category)) if category in known else float("nan")


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """The ordered features of a model as they were declared; categories may still be open."""

    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not 0 < len(names) <= MAX_FEATURES:
            raise InvalidContractError(where="features", problem=f"1 to {MAX_FEATURES} are needed")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidContractError(where=f"feature {twice!r}", problem="it is there twice")

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(feature.name for feature in self.features)

    def __getitem__(self, name: str) -> Feature:
        """Return the feature of that name; KeyError if there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def to_json(self) -> list[dict[str, Json]]:
        """Return the list of features, as `model.feature_schema` stores it."""
        return [feature.to_json() for feature in self.features]

    @classmethod
    def from_json(cls, form: object) -> FeatureSchema:
        """Read a list of features, or a document {"features": [...]}.

        Raises:
            InvalidContractError: something in it breaks a rule; the message names the column.
        """
        if isinstance(form, Mapping):
            form = mapping(form, where="schema", keys=frozenset({"features", "format"}))["features"]
        if not isinstance(form, Sequence) or isinstance(form, str):
            raise InvalidContractError(where="schema", problem="it must be a list of features")
        return cls(tuple(Feature.from_json(feature) for feature in form))

    def pin(self, categories: Mapping[str, Sequence[str]]) -> FeatureContract:
        """Return the contract with these categories where the schema left them open.

        Args:
            categories: column → values, in the order of their codes; columns whose categories the
                schema gives already are left as they are.

        Raises:
            InvalidContractError: a category column stays open.
        """
        pinned = [
            feature if feature.is_pinned else replace(feature, categories=_of(categories, feature))
            for feature in self.features
        ]
        return FeatureContract(tuple(pinned))


@dataclass(frozen=True, slots=True)
class FeatureContract(FeatureSchema):
    """A feature schema with every category pinned; named by its digest."""

    @override
    def __post_init__(self) -> None:
        # The zero-argument super() loses its class when a slotted dataclass is made anew.
        FeatureSchema.__post_init__(self)
        for feature in self.features:
            if not feature.is_pinned:
                raise InvalidContractError(
                    where=f"feature {feature.name!r}", problem="its categories are not pinned"
                )

    def to_document(self) -> dict[str, Json]:
        """Return {"format": 1, "features": [...]}, the form that is digested and stored."""
        return {"format": FORMAT, "features": self.to_json()}

    @property
    def digest(self) -> str:
        """The digest of the canonical JSON of the document."""
        return digest_of_json(self.to_document())

    @classmethod
    @override
    def from_json(cls, form: object) -> FeatureContract:
        """Read the document (or the bare list of features).

        Raises:
            InvalidContractError: something in it breaks a rule; the message names the column.
        """
        return cls(FeatureSchema.from_json(form).features)


def check_contract(contract: FeatureContract, schema: FeatureSchema) -> None:
    """Check that a contract keeps to a schema: names, order, dtypes, and the given categories.

    Raises:
        ContractMismatchError: it does not; the message names the first column that differs.
    """
    check_names(contract.names, schema.names)
    for ours, declared in zip(contract.features, schema.features, strict=True):
        if ours.dtype != declared.dtype:
            raise ContractMismatchError(
                column=ours.name, problem=f"it is {ours.dtype}, the model declares {declared.dtype}"
            )
        if declared.categories is not None and ours.categories != declared.categories:
            raise ContractMismatchError(
                column=ours.name, problem="its categories are not those that the model declares"
            )


def check_names(names: Sequence[str], expected: Sequence[str]) -> None:
    """Check that the columns are the expected ones in the expected order.

    Raises:
        ContractMismatchError: a column is missing, unknown, or at another place; names it.
    """
    missing, unknown = _first_beyond(expected, names), _first_beyond(names, expected)
    if missing is not None:
        raise ContractMismatchError(column=missing, problem="it is missing")
    if unknown is not None:
        raise ContractMismatchError(column=unknown, problem="the contract does not have it")
    for place, (name, wanted) in enumerate(zip(names, expected, strict=True)):
        if name != wanted:
            problem = f"it stands at place {place + 1}, where {wanted!r} belongs"
            raise ContractMismatchError(column=name, problem=problem)


def _first_beyond(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first name that is none of the known ones."""
    others = set(known)
    return next((name for name in names if name not in others), None)


def _distinct(categories: tuple[str, ...] | None) -> bool:
    if categories is None:
        return True
    return 0 < len(categories) <= MAX_CATEGORIES and len(set(categories)) == len(categories)


def _fits_buckets(feature: Feature) -> bool:
    buckets: object = feature.buckets
    if not isinstance(buckets, int) or isinstance(buckets, bool):
        return False
    if feature.unseen == "hash":
        return feature.dtype == "category" and 0 < buckets <= MAX_BUCKETS
    return buckets == 0


def _fits(default: object, dtype: str) -> bool:
    """Say whether a default has its feature's dtype; null fits every one."""
    if default is None:
        return True
    return isinstance(default, _KINDS.get(dtype, ())) and (
        dtype == "bool" or not isinstance(default, bool)
    )


def _of(categories: Mapping[str, Sequence[str]], feature: Feature) -> tuple[str, ...] | None:
    values = categories.get(feature.name)
    return None if values is None else tuple(values)
