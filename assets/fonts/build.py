"""Makes the two Inter files of this folder: figures of equal width become the default, private characters go.

Needs fonttools and the TTF files of the npm package @expo-google-fonts/inter:
    python build.py Inter_400Regular.ttf Inter-Regular.ttf
    python build.py Inter_600SemiBold.ttf Inter-SemiBold.ttf
egui has no switch for OpenType features, so the `tnum` substitution of digits, plus and minus is written into the
character map. Inter puts alternates of its own at private code points where the icons of Phosphor lie: they are taken out
of the map. Nothing else is changed. The OFL of Inter reserves no font name.
"""

import sys

from fontTools.ttLib import TTFont

FIGURES = [ord(c) for c in "0123456789+"] + [0x2212]


def tabular(font):
    names = {}
    for record in font["GSUB"].table.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for sub in font["GSUB"].table.LookupList.Lookup[index].SubTable:
                    names.update(getattr(sub, "ExtSubTable", sub).mapping)
    return names


source, target = sys.argv[1:3]
font = TTFont(source, recalcTimestamp=False)
names = tabular(font)
for table in font["cmap"].tables:
    for code in FIGURES:
        if code in table.cmap:
            table.cmap[code] = names.get(table.cmap[code], table.cmap[code])
    for code in [code for code in table.cmap if 0xE000 <= code <= 0xF8FF]:
        del table.cmap[code]
font.save(target)
