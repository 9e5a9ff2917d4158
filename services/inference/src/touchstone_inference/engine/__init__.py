"""The engine process: one model behind touchstone.engine.v1.EngineService."""
