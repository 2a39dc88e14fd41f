from .annotated import AnnotatedPhoto as AnnotatedPhoto
from .annotated import Files as Files
from .annotated import LabelledObject as LabelledObject
from .table import FORMATS as FORMATS
from .table import Format as Format
from .table import register as register
