"""Digits as people draw them with a mouse: strokes of a round pen, dark on light."""

import base64
import io

from PIL import Image, ImageDraw

#: The strokes of each digit, in hundredths of the paper.
STROKES: dict[str, list[list[tuple[int, int]]]] = {
    "0": [
        [(50, 15), (35, 22), (28, 40), (28, 60), (35, 78), (50, 85), (65, 78), (72, 60), (72, 40), (65, 22), (50, 15)]
    ],
    "1": [[(38, 30), (54, 15), (54, 86)]],
    "2": [[(30, 32), (36, 19), (50, 14), (64, 20), (68, 34), (60, 50), (45, 66), (29, 84), (72, 84)]],
    "3": [[(30, 20), (48, 14), (65, 22), (66, 38), (47, 48), (66, 58), (68, 74), (50, 86), (29, 79)]],
    "4": [[(60, 85), (60, 15), (26, 62), (76, 62)]],
    "5": [[(68, 16), (34, 16), (32, 47), (50, 42), (66, 51), (69, 68), (58, 83), (40, 86), (28, 78)]],
    "6": [[(62, 15), (45, 26), (33, 48), (30, 68), (40, 84), (56, 85), (67, 72), (62, 57), (46, 54), (33, 64)]],
    "7": [[(28, 17), (71, 17), (55, 48), (44, 86)]],
    "8": [
        [(50, 48), (34, 36), (36, 20), (50, 14), (64, 20), (66, 36), (50, 48)],
        [(50, 48), (32, 62), (34, 80), (50, 86), (66, 80), (68, 62), (50, 48)],
    ],
    "9": [[(66, 30), (55, 16), (40, 17), (32, 31), (38, 46), (54, 47), (66, 34), (66, 30), (64, 60), (54, 86)]],
}


def drawing(digit: str, *, size: int = 280, pen: int = 20, zoom: float = 1.0, right: int = 0, down: int = 0) -> str:
    """The PNG in base64.

    Args:
        pen: the stroke's width in pixels.
        zoom: the digit's size, in parts of the paper.
        right, down: how far it is moved, in pixels.
    """
    image = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(image)
    middle = size / 2
    for stroke in STROKES[digit]:
        points = [
            (middle + (x / 100 - 0.5) * size * zoom + right, middle + (y / 100 - 0.5) * size * zoom + down)
            for x, y in stroke
        ]
        draw.line(points, fill=0, width=pen, joint="curve")
        for x, y in points:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
