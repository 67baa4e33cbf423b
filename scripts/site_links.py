"""For mkdocs.yml: links from documents to files of the repository outside of docs/ lead to copies of them in the site.

So the same Markdown is right in the repository and in the site. CHANGELOG.md, CONTRIBUTING.md and MODEL_CARD.md are
pages too.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "MODEL_CARD.md")
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")


def place(file: File) -> str:
    """Where a file of the site stands in the repository."""
    uri = file.src_uri
    return uri if uri in PAGES else f"docs/{uri}"


def target(source: str, link: str) -> str:
    """What a link in a document means, from the top of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside of docs/, and all files that documents link to."""
    for name in PAGES:
        files.append(File.generated(config, name, abs_src_path=str(REPOSITORY / name)))
    for page in list(files.documentation_pages()):
        for link in LINK.findall(page.content_string):
            path = target(place(page), link)
            in_site = path.startswith("docs/") or files.get_file_from_path(path) is not None
            if not in_site and (REPOSITORY / path).is_file():
                files.append(File.generated(config, path, abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where their files stand in the site."""
    here = posixpath.dirname(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        path = target(place(page.file), match[1]).removeprefix("docs/")
        return posixpath.relpath(path, here or ".")

    return LINK.sub(link, markdown)
