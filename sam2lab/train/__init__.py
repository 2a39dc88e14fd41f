"""Trains the classroom model from nothing: scenes in, weights and a bundle out.

Needs torch and sam2.

```python
trainer = Trainer(Mixture(), TOY, unseen=Mixture(held_out=True))
trainer.run()
save_model(trainer, Path("models/my-nano"))
```
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
