"""Ollama's dialect: chat, generate, embed, the lists of models, errors."""
