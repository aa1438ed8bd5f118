"""A form in parts, watched on its way to the app: names of files, and the JSON beside them."""

from __future__ import annotations

from python_multipart.multipart import MultipartParser, parse_options_header

from .names import check_file_name, check_json, check_text, parse_json
from .refusal import Refusal

__all__ = ["Upload"]

TEXT_BYTES = 1 << 20  # of a part that is no file


class Upload:
    """Takes the body piece by piece and raises :class:`Refusal`; the parser is the one that the app uses."""

    def __init__(self, content_type: str) -> None:
        options = parse_options_header(content_type)[1]
        boundary = options.get(b"boundary")
        if not boundary or options.get(b"charset", b"utf-8").lower() != b"utf-8":
            raise Refusal(400, "upload: no boundary, or not in UTF-8")
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """The next piece of the body."""
        try:
            self._parser.write(piece)
        except ValueError as error:  # what the parser raises
            raise Refusal(400, "upload: not a form in parts") from error

    def _begin(self) -> None:
        self._field, self._value, self._text = b"", b"", bytearray()
        self._name, self._is_file = "", False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self._name = options.get(b"name", b"").decode("latin-1")
            if b"filename" in options:
                self._is_file = True
                check_file_name(options[b"filename"].decode("utf-8", errors="replace"))
        self._field, self._value = b"", b""

    def _headers_finished(self) -> None:
        check_text(self._name, "upload")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._text += data[start:end]
            if len(self._text) > TEXT_BYTES:
                raise Refusal(413, f"{self._name}: more than {TEXT_BYTES} bytes")

    def _end(self) -> None:
        if not self._is_file and self._text.strip():
            try:
                text = self._text.decode("utf-8")
            except UnicodeDecodeError as error:
                raise Refusal(400, f"{self._name}: not in UTF-8") from error
            check_json(parse_json(text, self._name), self._name)
