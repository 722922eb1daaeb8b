"""The cells of one column as texts, held as an Arrow array until somebody asks for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leadml.errors import LeadsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["ISO_FORMATS", "ISO_ZONE_FORMATS", "Texts", "find_loose_ends", "join_texts", "string_bytes"]

ISO_FORMATS = ("%Y-%m-%dT%H:%M:%S.%f",)
ISO_ZONE_FORMATS = ("%Y-%m-%dT%H:%M:%S.%f%z",)
_SPACE, _LAST_ASCII = 0x20, 0x7F


class Texts:
    """The cells of one column; missing ones are None.

    It behaves as an array of objects that cannot be changed: `len`, ``[row]``, iteration, `numpy.asarray`.

    Parameters
    ----------
    values : Array, or sequence of str or None
        Texts, or typed values that are texts once somebody looks: the shortest that read back to exactly
        the same value.
    where : str
        What to call the column in an error.

    Attributes
    ----------
    formats : tuple of str
        The date format of the texts if the values are typed dates.

    Raises
    ------
    LeadsError
        If no text stands for the values.
    """

    __slots__ = ("_arrow", "_objects", "formats")

    def __init__(self, values: Any, *, where: str = "the column") -> None:
        import pyarrow as pa

        self._objects: NDArray[np.object_] | None = None
        self.formats: tuple[str, ...] = ()
        self._arrow: Any = None
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
            values = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
        if isinstance(values, pa.Array):
            self._take_arrow(values, where)
            return
        objects = np.asarray(values, dtype=object)
        try:
            self._arrow = pa.array(objects, pa.large_string(), from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError):  # not all are texts that UTF-8 can hold
            self._objects = objects

    def _take_arrow(self, values: Any, where: str) -> None:
        import pyarrow as pa

        kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if pa.types.is_nested(kind):
            raise LeadsError(f"{where} holds {kind}, not one value per lead. Write one column per value.")
        try:
            if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
                zoned = pa.types.is_timestamp(kind) and kind.tz is not None
                self.formats = ISO_ZONE_FORMATS if zoned else ISO_FORMATS
                self._arrow = values.cast(pa.timestamp("us", tz="UTC" if zoned else None), safe=False)
                _check_years(self._arrow)
            elif (
                pa.types.is_dictionary(values.type)
                and _plain_type(kind) == pa.large_string()
                and not values.dictionary.null_count
            ):
                self._arrow = values
            elif (plain := _plain_type(kind)) is not None:
                self._arrow = values.cast(plain)
            else:
                self._objects = _as_objects([_text(value) for value in values.to_pylist()])
        except UnicodeDecodeError:
            raise LeadsError(
                f"{where} holds bytes that are not text. Leave it out or write it as text."
            ) from None
        except (OverflowError, ValueError, pa.ArrowException):
            raise LeadsError(f"{where} holds dates outside the years 1 to 9999.") from None
        if self._arrow is not None and self._arrow.offset:
            # A part of an array: not every version of Arrow's if_else looks where it begins.
            self._arrow = pa.concat_arrays([self._arrow, self._arrow.slice(0, 0)])

    @property
    def arrow(self) -> Any:
        """The values as they came; texts are of the type ``large_string``. None if Arrow cannot hold them."""
        import pyarrow as pa

        if self._arrow is not None and pa.types.is_dictionary(self._arrow.type):
            self._arrow = self._arrow.cast(pa.large_string())
        return self._arrow

    @property
    def is_text(self) -> bool:
        """Whether `arrow` holds texts."""
        import pyarrow as pa

        kind = None if self._arrow is None else self._arrow.type
        return kind is not None and (pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))

    def objects(self) -> NDArray[np.object_]:
        """Return all cells as an array of str and None."""
        if self._objects is None:
            self._objects = _objects(self.arrow)
        return self._objects

    def take(self, rows: NDArray[np.int64]) -> Texts:
        """Return some of the cells, as texts."""
        if self.is_text and self._objects is None:
            return Texts(self.arrow.take(rows))
        return Texts(self.objects()[rows])

    def factorize(self) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
        """Give the position of each cell among the distinct texts, and those; missing is -1."""
        import pyarrow as pa

        if self.is_text or (self._arrow is not None and pa.types.is_boolean(self._arrow.type)):
            encoded = self._arrow
            if not pa.types.is_dictionary(encoded.type):
                encoded = encoded.cast(pa.large_string()).dictionary_encode()
            codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
            return _without_unused(codes, encoded.dictionary.to_numpy(zero_copy_only=False))
        codes, uniques = pd.factorize(self.objects(), use_na_sentinel=True)
        return codes, uniques

    def stripped(self) -> NDArray[np.object_]:
        """Return all cells without the spaces around them; a missing one is empty."""
        if self.is_text and not find_loose_ends(self.arrow).any():
            return self.arrow.fill_null("").to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
        return _as_objects(["" if text is None else text.strip() for text in self])

    def copy(self) -> NDArray[np.object_]:
        """Return all cells as an array that may be changed."""
        return self.objects().copy()

    def __len__(self) -> int:
        return len(self._arrow) if self._arrow is not None else len(self.objects())

    def __getitem__(self, key: Any) -> Any:
        if self._objects is None and self.is_text and isinstance(key, int | np.integer):
            return self.arrow[int(key)].as_py()
        return self.objects()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.objects().tolist())

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        found = self.objects() if dtype is None else self.objects().astype(dtype)
        return found.copy() if copy else found


def _without_unused(
    codes: NDArray[np.int64], uniques: NDArray[np.object_]
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Leave out texts of a dictionary that no cell has."""
    used = np.bincount(codes[codes >= 0], minlength=len(uniques)) > 0
    if used.all():
        return codes, uniques
    return np.append(np.cumsum(used) - 1, -1)[codes], uniques[used]


def hash_texts(texts: Any) -> NDArray[np.uint64]:
    """Return one number per cell, spaces around it apart: equal texts have equal numbers."""
    known = (texts if isinstance(texts, Texts) else Texts(texts)).stripped()
    return np.asarray(pd.util.hash_array(known, categorize=False), dtype=np.uint64)


def join_texts(parts: Sequence[Texts | Sequence[str]]) -> Texts:
    """Return the cells of several columns as one."""
    import pyarrow as pa

    columns = [part if isinstance(part, Texts) else Texts(part) for part in parts]
    if len(columns) == 1:
        return columns[0]
    kinds = {None if column.arrow is None else column.arrow.type for column in columns}
    if len(kinds) == 1 and None not in kinds:
        return Texts(pa.concat_arrays([column.arrow for column in columns]))
    return Texts(np.concatenate([np.empty(0, dtype=object), *(column.objects() for column in columns)]))


def string_bytes(texts: Any) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return where each text begins and ends, and the bytes of all, of an Arrow array without a copy."""
    _, places, data = texts.buffers()
    if not len(texts) or places is None:
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    offsets = np.frombuffer(places, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return offsets - offsets[0], whole[offsets[0] : offsets[-1]]


def find_loose_ends(texts: Any) -> NDArray[np.bool_]:
    """Say which texts of an Arrow array may have spaces at an end: no other is changed by `str.strip`."""
    offsets, data = string_bytes(texts)
    loose = np.zeros(len(texts), dtype=bool)
    filled = np.flatnonzero(np.diff(offsets))
    for places in (offsets[:-1][filled], offsets[1:][filled] - 1):
        loose[filled] |= (data[places] <= _SPACE) | (data[places] > _LAST_ASCII)
    return loose


def _plain_type(kind: Any) -> Any:
    """Return the type in which values are held until somebody asks for texts; None if as texts."""
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_boolean(kind):
        return pa.bool_()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    return None


def _check_years(instants: Any) -> None:
    import pyarrow.compute as pc

    for value in pc.min_max(instants).as_py().values():
        if value is not None:
            value.strftime("%Y")


def _objects(values: Any) -> NDArray[np.object_]:
    """Write typed values as texts that read back to exactly the same values."""
    import pyarrow as pa

    if pa.types.is_timestamp(values.type):
        return _as_objects([_iso(value) for value in values.to_pylist()])
    if pa.types.is_floating(values.type):
        return _number_texts(values)
    found: NDArray[np.object_] = values.cast(pa.large_string()).to_numpy(zero_copy_only=False)
    return found


def _number_texts(numbers: Any) -> NDArray[np.object_]:
    """Write whole numbers as such, so that 50.0 people are 50, whatever the other numbers are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
    is_whole = pc.and_(pc.equal(pc.trunc(numbers), numbers), pc.less(pc.abs(numbers), float(2**53)))
    whole = pc.if_else(is_whole, numbers, None).cast(pa.int64()).cast(pa.large_string())
    texts: NDArray[np.object_] = pc.coalesce(whole, numbers.cast(pa.large_string())).to_numpy(
        zero_copy_only=False
    )
    return texts


def _as_objects(values: list[Any]) -> NDArray[np.object_]:
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts


def _iso(value: Any) -> str | None:
    return None if value is None else f"{value.year:04}" + value.strftime("-%m-%dT%H:%M:%S.%f%z")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
