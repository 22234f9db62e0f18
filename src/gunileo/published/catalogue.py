"""Published models that can be imported: where they are, under which licence, and what their authors measured.

Read from the repositories' own pages on 2026-11-27. None of these weights was at hand here: no figure was measured with
them by Gunileo.
"""

from __future__ import annotations

from dataclasses import dataclass

_RAW = "https://raw.githubusercontent.com"
_HUB = "https://huggingface.co"
_VSR_PAGE = "https://github.com/mpc001/Visual_Speech_Recognition_for_Multiple_Languages"
_AUTO_PAGE = "https://github.com/mpc001/auto_avsr"
_LIPNET_PAGE = "https://github.com/VIPL-Audio-Visual-Speech-Understanding/LipNet-PyTorch"

VSR_LICENSE = (
    "the code can only be used for comparative or benchmarking purposes. Users can only use code supplied under a "
    "License for non-commercial purposes."
)
AUTO_LICENSE = (
    "Code is Apache 2.0 licensed. The pre-trained models ... may have their own licenses or terms ... derived from the "
    "dataset"
)
VISPER_LICENSE = "Creative Commons Attribution-NonCommercial (CC BY-NC)"
LIPNET_LICENSE = "The MIT License"
MIRROR_LICENSE = f"MIT (the mirror's tag); its original: {AUTO_LICENSE}"


@dataclass(frozen=True)
class File:
    """A file with a plain address; checksums where one is published."""

    name: str  # as it is stored
    address: str
    bytes: int | None = None
    sha256: str = ""
    md5_start: str = ""  # the first digits of an MD5
    git_blob: str = ""  # git's SHA-1 of the file with its size before it


@dataclass(frozen=True)
class Known:
    """A published model."""

    name: str
    page: str  # where its authors tell of it
    license: str  # their words
    published: str  # their figure
    megabytes: int  # to download
    files: tuple[File, ...] = ()  # none: to be got by hand from ``page``
    language_model: tuple[File, ...] = ()
    beam: int = 40
    language: float = 0.0  # the language model's weight that its authors used, if there is one
    penalty: float = 0.0
    grammar: str = ""
    start: int = 0  # the token after the start token, if it begins with one
    reads: str = "en"  # the language, ISO 639-1
    title: str = ""  # what its authors call its file, folder or zip, without the ending


UNITS = {
    "unigram5000_units.txt": File(
        "unigram5000_units.txt",
        f"{_RAW}/mpc001/auto_avsr/main/spm/unigram/unigram5000_units.txt",
        73_778,
        "29001d967ad290e28f6f1d7d47e07e314354bf67d3b1f494e936fa2fed9a9122",
    ),
    "unigram_units.txt": File(
        "unigram_units.txt",
        f"{_RAW}/YasserdahouML/visper/3cf3b4f990ae63febbe44d5d45b2fef5a693fbd9/spm/unigram/unigram_units.txt",
    ),
}
_PIECES = UNITS["unigram5000_units.txt"]


def _by_hand(name: str, title: str, published: str, megabytes: int = 186, **how: object) -> Known:
    page = f"{_VSR_PAGE} (model zoo: {title})"
    return Known(name, page, VSR_LICENSE, published, megabytes, title=title, **how)  # type: ignore[arg-type]


def _auto_avsr(name: str, title: str, published: str, files: tuple[File, ...] = ()) -> Known:
    return Known(name, f"{_AUTO_PAGE} ({title})", AUTO_LICENSE, published, 1002, files, title=title)


def _lipnet(name: str, file: str, blob: str, published: str) -> Known:
    commit = "40209e09c49553c00c25c7d41faa3706aea3c625"
    address = f"{_RAW}/VIPL-Audio-Visual-Speech-Understanding/LipNet-PyTorch/{commit}/pretrain/{file}"
    files, title = (File("model.pt", address, git_blob=blob),), file.removesuffix(".pt")
    page = f"{_LIPNET_PAGE} (folder pretrain)"
    return Known(name, page, LIPNET_LICENSE, published, 27, files, grammar="grid", title=title)


def _hub(repository: str, folder: str = "") -> tuple[File, ...]:
    return tuple(
        File(f"{folder}{name}", f"{_HUB}/{repository}/resolve/main/{name}") for name in ("model.json", "model.pth")
    )


KNOWN = (
    _lipnet(
        "lipnet-unseen",
        "LipNet_unseen_loss_0.44562849402427673_wer_0.1332580699113564_cer_0.06796452465503355.pt",
        "39e57303c394d4fa2ed3432c0d41d74a06cea20d",
        "GRID, speakers s1 s2 s20 s22 unseen: WER 13.3 %",
    ),
    _lipnet(
        "lipnet-overlapped",
        "LipNet_overlap_loss_0.07664558291435242_wer_0.04644484056248762_cer_0.019676921477851092.pt",
        "3594372a3c432b6360f4fa46d936caba15cf3a1c",
        "GRID, known speakers: WER 4.6 %",
    ),
    _by_hand("vsr-grid-unseen", "GRID_V_WER4.8", "GRID, s1 s2 s20 s22 unseen: WER 4.8 %", beam=20, grammar="grid"),
    _by_hand("vsr-grid-overlapped", "GRID_V_WER1.2", "GRID, known speakers: WER 1.2 %", beam=20, grammar="grid"),
    _by_hand("vsr-lombard-front", "LombardGRID_V_WER4.9", "Lombard GRID, unseen: WER 4.9 %", beam=20, grammar="grid"),
    _by_hand("vsr-lombard-side", "LombardGRID_V_WER8.0", "from the side, unseen: WER 8.0 %", beam=20, grammar="grid"),
    _by_hand("vsr-lrs2", "LRS2_V_WER26.1", "LRS2: WER 26.1 %, with its language model", language=0.6, penalty=0.5),
    _by_hand("vsr-lrs3-small", "LRS3_V_WER32.3", "LRS3: WER 32.3 %, with a language model", language=0.6, penalty=0.5),
    _by_hand("vsr-tcdtimit-overlapped", "TCDTIMIT_V_WER16.9", "TCD-TIMIT, known speakers: WER 16.9 %"),
    _by_hand("vsr-tcdtimit-unseen", "TCDTIMIT_V_WER21.8", "TCD-TIMIT, unseen speakers: WER 21.8 %"),
    _by_hand("vsr-mandarin", "CMLR_V_WER8.0", "CMLR: CER 8.0 %", 195, beam=20, language=0.3, penalty=0.3, reads="zh"),
    _by_hand("vsr-spanish", "CMUMOSEAS_V_ES_WER44.5", "CMU-MOSEAS: WER 44.5 %", beam=30, language=0.4, reads="es"),
    _by_hand("vsr-portuguese", "CMUMOSEAS_V_PT_WER51.4", "CMU-MOSEAS: WER 51.4 %", beam=30, language=0.4, reads="pt"),
    _by_hand("vsr-french", "CMUMOSEAS_V_FR_WER58.6", "CMU-MOSEAS: WER 58.6 %", beam=30, language=0.4, reads="fr"),
    Known(
        "vsr-lrs3",
        f"{_VSR_PAGE} (model zoo: LRS3_V_WER19.1)",
        VSR_LICENSE,
        "LRS3: WER 19.1 %, with its language model",
        1220,
        (*_hub("Amanvir/LRS3_V_WER19.1"), _PIECES),
        _hub("Amanvir/lm_en_subword"),
        language=0.3,
        title="LRS3_V_WER19.1",
    ),
    _auto_avsr(
        "autoavsr-lrs3-36.0",
        "vsr_trlrs3_base",
        "LRS3: WER 36.0 %",
        (
            File("model.pth", "http://www.doc.ic.ac.uk/~pm4115/autoAVSR/vsr_trlrs3_base.pth", md5_start="c00a7"),
            _PIECES,
        ),
    ),
    _auto_avsr("autoavsr-lrs3-24.6", "vsr_trlrs3vox2_base", "LRS3: WER 24.6 %"),
    _auto_avsr("autoavsr-lrs3-20.3", "vsr_trlrs2lrs3vox2avsp_base", "LRS3: WER 20.3 %"),
    Known(
        "autoavsr-lrs3",
        f"{_HUB}/aaahmet/silent-lip-reader-model (a mirror; of which of Auto-AVSR's files is disputed)",
        MIRROR_LICENSE,
        "LRS3: WER 20.3 % or more, as the original is disputed",
        1002,
        (
            File(
                "model.pth",
                f"{_HUB}/aaahmet/silent-lip-reader-model/resolve/ff1e35515594eb4562c469b99d147cf6a3d2891e/pytorch_model.pt",
                1_001_892_616,
                "fbf7cd70ff1c0e694b3030fb779dbb4570f04e4b841d62f9296c229e94878ddb",
            ),
            _PIECES,
        ),
    ),
    Known(
        "visper",
        "https://github.com/YasserdahouML/visper",
        VISPER_LICENSE,
        "WildVSR, English: WER 49.1 %; fr 29.8, es 39.4, ar 47.8 %; zh CER 51.3 %",
        1154,
        (
            File(
                "model.pth",
                f"{_HUB}/tiiuae/visper/resolve/dce21024de26e5dc7ddeedd14cb54ad41cefe6b6/visper_vsr_base.pth",
                1_153_269_123,
                "d6b45e0a9988ae3e747496dd0f24c7b3f5e019358e743df8e66579a38e755608",
            ),
            UNITS["unigram_units.txt"],
        ),
        start=2,
        title="visper_vsr_base",
    ),
)


def known(name: str) -> Known | None:
    """The published model of this name, if there is one."""
    return next((one for one in KNOWN if one.name == name), None)


def titled(title: str) -> Known | None:
    """The published model whose file, folder or zip has this name, without its ending, in any case."""
    return next((one for one in KNOWN if one.title and one.title.lower() == title.lower()), None)
