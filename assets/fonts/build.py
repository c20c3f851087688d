"""Makes the Inter and Phosphor files of this folder from those of the npm packages named in README.md.

Needs fonttools:
    python build.py Inter_400Regular.ttf Inter-Regular.ttf
    python build.py Inter_600SemiBold.ttf Inter-SemiBold.ttf
    python build.py Phosphor.ttf Phosphor.ttf

Inter: egui has no switch for OpenType features, so the `tnum` substitution of digits, plus and minus is written into
the character map; and its private characters are taken out of the map, because they hide the icons of Phosphor, which
have the same numbers. Phosphor: the signs that the notes of egui-notify begin with get the icons that mean the same.
Nothing else is changed. The OFL of Inter reserves no font name.
"""

import sys

from fontTools.ttLib import TTFont

FIGURES = [ord(c) for c in "0123456789+"] + [0x2212]
PRIVATE = range(0xE000, 0xF900)
# Sign of egui-notify: icon of Phosphor (info, warning, warning-circle, check, x).
SIGNS = {0x2139: 0xE2CE, 0x26A0: 0xE4E0, 0xFF01: 0xE4E2, 0x2705: 0xE182, 0x274C: 0xE4F6}


def tabular(font):
    names = {}
    for record in font["GSUB"].table.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for sub in font["GSUB"].table.LookupList.Lookup[index].SubTable:
                    names.update(getattr(sub, "ExtSubTable", sub).mapping)
    return names


def inter(font):
    names = tabular(font)
    for table in font["cmap"].tables:
        for code in FIGURES:
            if code in table.cmap:
                table.cmap[code] = names.get(table.cmap[code], table.cmap[code])
        for code in [code for code in table.cmap if code in PRIVATE]:
            del table.cmap[code]


def phosphor(font):
    icons = font.getBestCmap()
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap.update({sign: icons[icon] for sign, icon in SIGNS.items()})


source, target = sys.argv[1:3]
font = TTFont(source, recalcTimestamp=False)
(inter if "Inter" in source else phosphor)(font)
font.save(target)
